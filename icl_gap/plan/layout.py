"""The requests of each cell: exemplars drawn, prompts written and measured against the context."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from icl_gap import prompts, sampling
from icl_gap.config import SweepSpec
from icl_gap.errors import PromptError, SamplingError
from icl_gap.plan.cells import Cell
from icl_gap.plan.parts import Study, Subject
from icl_gap.records import Condition, Exemplars, Prompt, Split


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt of a cell."""

    exemplars: Exemplars
    prompt: Prompt
    tokens: int | None
    """None where the model has no tokenizer."""
    fits: bool
    """False where the sweep skips the query because its prompt does not fit."""


class Layout:
    """Makes the requests of a sweep's cells, and keeps what cells share."""

    def __init__(self, sweep: SweepSpec) -> None:
        self._sweep = sweep
        self._pools: dict[object, sampling.Pool] = {}
        self._drawn: dict[object, list[Exemplars]] = {}

    def requests(self, cell: Cell) -> list[Request]:
        """The requests of a cell, in query order.

        What is left out or shortened is so in every condition of the sweep alike: a query fits
        where the longest of its prompts does.

        Raises:
            PromptError: A prompt does not fit, and the sweep says that this is an error.
            SamplingError: A pool holds too few examples.
        """
        conditions = self._sweep.conditions
        drawn = {condition: self._exemplars(cell, condition) for condition in conditions}
        here = drawn[cell.info.condition]
        reserve = _reserve(cell.subject, cell.study, here)
        return [
            self._request(cell, exemplars, together, reserve)
            for exemplars, together in zip(here, zip(*drawn.values(), strict=True), strict=True)
        ]

    def _request(
        self, cell: Cell, exemplars: Exemplars, together: Sequence[Exemplars], reserve: int
    ) -> Request:
        asked = cell.info.shots
        fitting = _fitting_shots(cell, together, reserve)
        drops = self._sweep.overflow == "drop_shots" and fitting >= 0
        shown = exemplars.first(fitting if drops else asked)
        prompt = prompts.render(cell.study.template, shown)
        tokens = _length(cell.subject, prompt)
        fits = drops or fitting == asked
        if not fits and self._sweep.overflow != "skip":
            identity = cell.subject.identity
            raise PromptError(
                f"the prompt of query {prompt.query_id} ({cell.study.benchmark.name}) does not fit "
                f"the context of {identity.name}",
                value=f"{tokens} tokens at {asked} shots, and {reserve} for the answer",
                allowed=f"{identity.context_length} tokens in all; fewer shots, or "
                "`overflow: skip` or `overflow: drop_shots`",
            )
        return Request(shown, prompt, tokens, fits)

    def _exemplars(self, cell: Cell, condition: Condition) -> list[Exemplars]:
        subject, study, info = cell.subject, cell.study, cell.info
        shots = max(subject.shots)
        key = (study, subject.identity.tokenizer, info.query_split, condition, info.seed, shots)
        if key not in self._drawn:
            spec = self._sweep.sampler
            pool = self._pool(study, subject, sampling.pool_split(info.query_split, condition))
            asked = sampling.queries(study.benchmark, info.query_split, spec, self._sweep.limit)
            try:
                self._drawn[key] = [
                    sampling.sample(spec, pool, query, shots=shots, seed=info.seed)
                    for query in asked
                ]
            except SamplingError as error:
                error.at(key="shots")
                raise
        return self._drawn[key]

    def _pool(self, study: Study, subject: Subject, split: Split) -> sampling.Pool:
        key = (study, subject.identity.tokenizer, split)
        if key not in self._pools:
            tokenize = str.split if subject.tokenizer is None else subject.tokenizer
            self._pools[key] = sampling.Pool(study.benchmark, split, tokenize)
        return self._pools[key]


def _reserve(subject: Subject, study: Study, drawn: Sequence[Exemplars]) -> int:
    """The tokens that the longest gold answer takes, its stop included."""
    if subject.tokenizer is None or subject.identity.context_length is None:
        return 0
    answers = (prompts.answer(study.template, exemplars.query.target) for exemplars in drawn)
    return max((len(subject.tokenizer.encode(answer)) for answer in answers), default=0)


def _length(subject: Subject, prompt: Prompt) -> int | None:
    return None if subject.tokenizer is None else subject.tokenizer.prompt_length(prompt.text)


def _fitting_shots(cell: Cell, together: Sequence[Exemplars], reserve: int) -> int:
    """The largest number of shots, up to the cell's, at which all of a query's prompts fit.

    Returns:
        -1 if not even the prompt without exemplars fits.
    """
    subject, shots = cell.subject, cell.info.shots
    context = subject.identity.context_length
    if subject.tokenizer is None or context is None:
        return shots

    def needed(k: int) -> int:
        written = (prompts.render(cell.study.template, drawn.first(k)) for drawn in together)
        return reserve + max(_length(subject, prompt) or 0 for prompt in written)

    if needed(shots) <= context:
        return shots
    return bisect_right(range(shots), context, key=needed) - 1
