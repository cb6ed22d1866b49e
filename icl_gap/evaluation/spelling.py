"""Check that the models of a sweep can write the targets of its benchmarks and read its labels.

A model cannot give an answer that its tokenizer cannot decode. All its responses would count as
wrong, whatever it has learned.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import chain, product

from icl_gap import prompts
from icl_gap.errors import ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.inputs import SweepBenchmark, SweepModel
from icl_gap.models import Tokenizer
from icl_gap.schema import Example

_SHOWN = 3
"""Targets that an error shows."""
_SHOWN_CHARACTERS = 60
"""Characters of a target that an error shows."""


def check_spelling(
    sweep: SweepSpec, benchmarks: Sequence[SweepBenchmark], models: Iterable[SweepModel]
) -> None:
    """Refuse models that cannot be right because of their tokenizers.

    Every gold target of the sweep's queries is encoded and decoded, once for each tokenizer. Models
    without a known tokenizer are not checked.

    Args:
        sweep: The sweep.
        benchmarks: Its benchmarks.
        models: Its models.

    Raises:
        ModelError: A tokenizer cannot write some targets, or loses a label or the stop.
    """
    checked = set()
    for model, benchmark in product(models, benchmarks):
        tokenizer, key = model.tokenizer, (model.identity.tokenizer, benchmark)
        if tokenizer is None or key in checked:
            continue
        checked.add(key)
        try:
            _check_targets(tokenizer, model, benchmark, canonical=sweep.canonical)
            _check_labels(tokenizer, model, benchmark)
        except ModelError as error:
            error.at(key=model.place)
            raise


def _check_targets(
    tokenizer: Tokenizer, model: SweepModel, benchmark: SweepBenchmark, *, canonical: bool
) -> None:
    queries = list(chain.from_iterable(benchmark.queries.values()))
    writable: dict[str, bool] = {}
    for query in queries:
        if query.target not in writable:
            writable[query.target] = _can_be_right(
                tokenizer, query.target, benchmark, canonical=canonical
            )
    lost = [query for query in queries if not writable[query.target]]
    if lost:
        shown = "; ".join(_shown(tokenizer, query) for query in lost[:_SHOWN])
        raise ModelError(
            f"the tokenizer of {model.identity.name} cannot write {len(lost):,} of the "
            f"{len(queries):,} targets of {_name(benchmark)}, so no answer to them could be right; "
            f"the first: {shown}",
            allowed="a model whose tokenizer gives back every target that it encodes: run this "
            "model and this benchmark in different sweeps",
        )


def _can_be_right(
    tokenizer: Tokenizer, target: str, benchmark: SweepBenchmark, *, canonical: bool
) -> bool:
    """Return True if some ids decode to a target, or to another text with the same normal form."""
    text = prompts.gold(target)
    if tokenizer.can_write(text):
        return True
    if not canonical:
        return False
    written = tokenizer.decode(tokenizer.encode(text))
    return benchmark.language.compare(written, target).canonical


def _check_labels(tokenizer: Tokenizer, model: SweepModel, benchmark: SweepBenchmark) -> None:
    """Check that a prompt keeps its labels, and that a response can end."""
    template = benchmark.template
    for label in (template.source_label, template.target_label):
        read = tokenizer.decode(tokenizer.encode(label))
        if _letters(read) != _letters(label):
            raise ModelError(
                f"the tokenizer of {model.identity.name} loses a label of {_name(benchmark)}",
                value=f"{label!r} becomes {read!r}",
                allowed="a `template` whose labels the model can read, or another model",
            )
    queries = chain.from_iterable(benchmark.queries.values())
    example = next((prompts.gold_with_stop(template, query.target) for query in queries), None)
    if example is None or tokenizer.eos:
        return
    if template.stop not in tokenizer.decode(tokenizer.encode(example)):
        raise ModelError(
            f"{model.identity.name} cannot end a response: its tokenizer has no EOS, and cannot "
            f"write the stop of {_name(benchmark)}",
            value=template.stop,
            allowed="a `template` with a `stop` that the model can write, or another model",
        )


def _letters(text: str) -> str:
    """Return a text without what tokenizers may change on purpose: case, accents, white space."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in folded if not c.isspace() and not unicodedata.combining(c))


def _shown(tokenizer: Tokenizer, query: Example) -> str:
    read = tokenizer.decode(tokenizer.encode(prompts.gold(query.target)))
    return f"{query.id} {_clipped(query.target)}, read back as {_clipped(read.strip())}"


def _clipped(text: str) -> str:
    cut = text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
    return repr(cut)


def _name(benchmark: SweepBenchmark) -> str:
    return f"{benchmark.data.name}/{benchmark.data.split}"
