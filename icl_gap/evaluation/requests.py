"""The requests of each cell: exemplars drawn, prompts written and measured against the context."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from icl_gap import models, prompts, sampling, scoring
from icl_gap.errors import PromptError, SamplingError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.inputs import SweepBenchmark, SweepModel
from icl_gap.models import Request
from icl_gap.schema import Condition, Exemplars, Split
from icl_gap.text import brief, shots_text


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the prompts of a cell came to."""

    prompt_tokens: tuple[int, ...] = ()
    """Of each request; empty where the model has no tokenizer."""
    skipped: int = 0
    """Queries left out because their prompts do not fit."""
    shortened: int = 0
    """Queries asked with fewer shots, so that their prompts fit."""

    def __repr__(self) -> str:
        counted = f"{len(self.prompt_tokens):,} prompts counted"
        return brief("Sizes", counted, f"{self.skipped} skipped, {self.shortened} shortened")


@dataclass(frozen=True, slots=True)
class _Shown:
    """How one query is asked."""

    shots: int
    tokens: int | None
    fits: bool


class Layout:
    """Makes the requests of a sweep's cells, and keeps what cells share.

    Models with one tokenizer share exemplars and prompt lengths; cells that differ in shots alone
    share exemplars.
    """

    def __init__(self, sweep: SweepSpec) -> None:
        self._sweep = sweep
        self._pools: dict[object, sampling.Pool] = {}
        self._drawn: dict[object, _Drawn] = {}
        self._reserves: dict[object, int] = {}
        self._sizes: dict[object, Sizes] = {}

    def requests(self, cell: Cell) -> list[Request]:
        """The requests of a cell, in query order.

        What is left out or shortened is so in every condition of the sweep alike: a query fits
        where the longest of its prompts does.

        Raises:
            PromptError: A prompt does not fit, and the sweep says that this is an error.
            SamplingError: A pool holds too few examples.
        """
        drawn = self._draw(cell, cell.info.condition)
        return [
            self._request(cell, drawn.shown(index, each.shots), each)
            for index, each in enumerate(self._shown(cell))
        ]

    def _request(self, cell: Cell, exemplars: Exemplars, shown: _Shown) -> Request:
        """Return the request of one query."""
        benchmark, target = cell.benchmark, exemplars.query.target
        follow = partial(scoring.can_match, target=target, form=benchmark.form)
        return Request(
            prompt=prompts.render(benchmark.template, exemplars),
            gold=prompts.gold(target),
            stop=benchmark.template.stop,
            max_new_bytes=cell.max_new_bytes,
            can_still_match=follow if self._sweep.canonical else None,
            rank=cell.rank,
            cell=cell.info.key,
            target=target,
            coverage=exemplars.coverage[-1],
            tokens=shown.tokens,
            fits=shown.fits,
        )

    def sizes(self, cell: Cell) -> Sizes:
        """What the prompts of a cell come to; nothing is written for it.

        Raises:
            PromptError: A prompt does not fit, and the sweep says that this is an error.
            SamplingError: A pool holds too few examples.
        """
        identity = cell.model.identity
        key = (*self._key(cell, cell.info.condition), cell.info.shots, identity.context_length)
        if key not in self._sizes:
            shown = list(self._shown(cell))
            self._sizes[key] = Sizes(
                tuple(each.tokens for each in shown if each.tokens is not None),
                skipped=sum(not each.fits for each in shown),
                shortened=sum(each.shots < cell.info.shots for each in shown),
            )
        return self._sizes[key]

    def _shown(self, cell: Cell) -> Iterator[_Shown]:
        """How each query of a cell is asked."""
        drawn = {condition: self._draw(cell, condition) for condition in self._sweep.conditions}
        reserve = self._reserve(cell)
        here = drawn.pop(cell.info.condition)
        together = (here, *drawn.values())
        for index in range(len(here.exemplars)):
            yield self._one(cell, together, index, reserve)

    def _one(self, cell: Cell, together: Sequence[_Drawn], index: int, reserve: int) -> _Shown:
        """How one query is asked; the cell's own condition comes first in `together`."""
        asked = cell.info.shots
        fitting = _fitting_shots(cell, together, index, reserve)
        drops = self._sweep.overflow == "drop_shots" and fitting >= 0
        shots = fitting if drops else asked
        tokens = together[0].length(cell, index, shots)
        fits = drops or fitting == asked
        if not fits and self._sweep.overflow != "skip":
            identity, query = cell.model.identity, together[0].exemplars[index].query
            raise PromptError(
                f"the prompt of query {query.id} ({cell.benchmark.data.name}) does not fit "
                f"the context of {identity.name}",
                value=f"{tokens} tokens at {shots_text(asked)}, and {reserve} for the answer",
                allowed=f"{identity.context_length} tokens in all; fewer shots, or "
                "`overflow: skip` or `overflow: drop_shots`"
                if fitting >= 0
                else f"{identity.context_length} tokens in all; even without exemplars it does "
                "not fit, so `overflow: skip`, or another model",
            ).at(key=cell.model.place_of_shots)
        return _Shown(shots, tokens, fits)

    def _draw(self, cell: Cell, condition: Condition) -> _Drawn:
        model, benchmark, info = cell.model, cell.benchmark, cell.info
        shots, key = max(model.shots), self._key(cell, condition)
        if key not in self._drawn:
            queries = benchmark.queries[info.query_split]
            if benchmark.embed is not None:  # all at once: many times faster than one by one
                benchmark.embed([query.source for query in queries])
            pool = self._pool(benchmark, model, sampling.pool_split(info.query_split, condition))
            try:
                exemplars = [
                    sampling.sample(self._sweep.sampler, pool, query, shots=shots, seed=info.seed)
                    for query in queries
                ]
            except SamplingError as error:
                error.at(key=model.place_of_shots)
                raise
            self._drawn[key] = _Drawn(exemplars, self._sweep.sampler.order, info.seed)
        return self._drawn[key]

    def _key(self, cell: Cell, condition: Condition) -> tuple[object, ...]:
        """What cells have in common that show the same exemplars."""
        model, info = cell.model, cell.info
        shots = max(model.shots)
        return (
            cell.benchmark,
            model.identity.tokenizer,
            info.query_split,
            condition,
            info.seed,
            shots,
        )

    def _pool(self, benchmark: SweepBenchmark, model: SweepModel, split: Split) -> sampling.Pool:
        key = (benchmark, model.identity.tokenizer, split)
        if key not in self._pools:
            tokenize = str.split if model.tokenizer is None else model.tokenizer
            structures = scoring.Structures(benchmark.form)
            self._pools[key] = sampling.Pool(
                benchmark.exemplar_source, split, tokenize, structures, benchmark.embed
            )
        return self._pools[key]

    def _reserve(self, cell: Cell) -> int:
        """Return the most tokens that a gold answer of the side takes, its stop included.

        It is that of all the side, so that the limit of a sweep does not change what fits.
        """
        benchmark, identity, split = cell.benchmark, cell.model.identity, cell.info.query_split
        tokenizer = cell.model.tokenizer
        if tokenizer is None or identity.context_length is None:
            return 0
        key = (benchmark, identity.tokenizer, split)
        if key not in self._reserves:
            targets = {each.target for each in benchmark.data.examples(split)}
            answers = {prompts.answer(benchmark.template, target) for target in targets}
            self._reserves[key] = _longest(answers, tokenizer)
        return self._reserves[key]


def _longest(texts: Iterable[str], tokenizer: models.Tokenizer) -> int:
    """Return the length of the text with the most tokens, in tokens.

    A token holds at least a byte, so texts with fewer bytes than that are not tokenized.
    """
    most = 0
    for size, text in sorted(((len(text.encode()), text) for text in texts), reverse=True):
        if size < most:
            break
        most = max(most, len(tokenizer.encode(text)))
    return most


class _Drawn:
    """The exemplars of all queries under one condition and seed, and the lengths of their prompts.

    Args:
        exemplars: Of each query, at the most shots, as chosen.
        order: In which they stand in a prompt.
        seed: Of the cell.
    """

    def __init__(self, exemplars: list[Exemplars], order: sampling.Order, seed: int) -> None:
        self.exemplars = exemplars
        self._order: sampling.Order = order
        self._seed = seed
        self._lengths: dict[tuple[int, int], int] = {}

    def shown(self, index: int, shots: int) -> Exemplars:
        """What a query is shown, as it stands in the prompt."""
        return sampling.order_exemplars(self._order, self.exemplars[index].first(shots), self._seed)

    def length(self, cell: Cell, index: int, shots: int) -> int | None:
        """The tokens of a query's prompt; None where the model has no tokenizer."""
        tokenizer = cell.model.tokenizer
        if tokenizer is None:
            return None
        if (index, shots) not in self._lengths:
            parts = prompts.parts(cell.benchmark.template, self.shown(index, shots))
            self._lengths[index, shots] = tokenizer.prompt_length(*parts)
        return self._lengths[index, shots]


def _fitting_shots(cell: Cell, together: Sequence[_Drawn], index: int, reserve: int) -> int:
    """The largest number of shots, up to the cell's, at which all of a query's prompts fit.

    Returns:
        -1 if not even the prompt without exemplars fits.
    """
    shots, context = cell.info.shots, cell.model.identity.context_length
    if cell.model.tokenizer is None or context is None:
        return shots

    def needed(k: int) -> int:
        return reserve + max(drawn.length(cell, index, k) or 0 for drawn in together)

    if needed(shots) <= context:
        return shots
    return bisect_right(range(shots), context, key=needed) - 1
