"""What a model is asked, and what asking all of it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.models import Request, Tokenizer
from icl_gap.models.hf.engine.tokenization import tokenize_requests
from icl_gap.models.hf.engine.trie import TokenCounts, count_tokens
from icl_gap.progress import Progress
from icl_gap.schema import Predictions

Requests = Callable[[Cell], list[Request]]


@dataclass(frozen=True, slots=True)
class Load:
    """What the requests of a model on a benchmark take."""

    model: SweepModel
    benchmark: str
    sizes: TokenCounts


def loads(
    sweep: SweepSpec, cells: Sequence[Cell], requests: Requests, progress: Progress
) -> Iterator[Load]:
    """Count the tokens of each model on each benchmark, for models that have tokens.

    Args:
        sweep: The sweep.
        cells: Its cells.
        requests: Gives the requests of a cell.
        progress: Shows progress.
    """
    groups = [
        (model, benchmark, list(group))
        for (model, benchmark), group in groupby(cells, key=together)
    ]
    known: dict[object, TokenCounts] = {}
    for model, benchmark, group in progress(groups, "counting tokens", len(groups)):
        identity, tokenizer = model.identity, model.tokenizer
        if tokenizer is None:
            continue
        benchmarks = tuple(dict.fromkeys(cell.benchmark for cell in group))
        key = (identity.tokenizer, identity.context_length, model.shots, benchmarks)
        if key not in known:
            fitting = [each for cell in group for each in requests(cell) if each.fits]
            known[key] = _sizes(fitting, tokenizer, identity.context_length, sweep.predictions)
        yield Load(model, benchmark, known[key])


def together(cell: Cell) -> tuple[SweepModel, str]:
    """What cells have in common that are run together.

    Prompts of one benchmark have much in common, those of two have nothing.
    """
    return cell.model, cell.benchmark.data.name


def _sizes(
    requests: Sequence[Request],
    tokenizer: Tokenizer,
    context_length: int | None,
    predictions: Predictions,
) -> TokenCounts:
    tokenized, _ = tokenize_requests(
        requests, tokenizer, context_length=context_length, predictions=predictions
    )
    return count_tokens([each.path for each in tokenized], [len(each.ids) for each in tokenized])
