"""Build the requests of each cell: draw exemplars, write prompts, fit them to the context."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from icl_gap import prompts, sampling
from icl_gap.errors import PromptError, SamplingError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.models import Request
from icl_gap.programs.trees import Structures, local_structures
from icl_gap.schema import Condition, Example, Exemplars, Prompt
from icl_gap.text import brief, shots_text


@dataclass(frozen=True, slots=True)
class PromptSizes:
    """The sizes of a cell's prompts."""

    prompt_tokens: tuple[int, ...] = ()
    """The tokens of each prompt; empty where the model has no tokenizer."""
    skipped: int = 0
    """Queries left out because their prompts do not fit."""
    shortened: int = 0
    """Queries with fewer shots than the cell's, so that their prompts fit."""

    def __repr__(self) -> str:
        counted = f"{len(self.prompt_tokens):,} prompts counted"
        return brief("PromptSizes", counted, f"{self.skipped} skipped, {self.shortened} shortened")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The prompt of one query, fitted to the context."""

    shots: int
    tokens: int | None
    fits: bool


class RequestBuilder:
    """Builds the requests of a sweep's cells, and keeps what cells share.

    Models with one tokenizer share exemplars and prompt lengths; cells that differ in shots alone
    share exemplars. Each prompt is measured once.

    Args:
        sweep: The sweep.
    """

    def __init__(self, sweep: SweepSpec) -> None:
        self._sweep = sweep
        self._pools: dict[object, sampling.Pool] = {}
        self._drawn: dict[object, _DrawnExemplars] = {}
        self._answer_tokens: dict[object, list[int]] = {}
        self._sizes: dict[object, PromptSizes] = {}

    def requests(self, cell: Cell) -> list[Request]:
        """Return the requests of a cell, in query order.

        A query that is left out or shortened is so under every condition of the sweep: it fits
        where the longest of its prompts does.

        Raises:
            PromptError: A prompt does not fit, and the sweep says that this is an error.
            SamplingError: A pool holds too few examples.
        """
        drawn = self._draw(cell, cell.info.condition)
        return [
            self._request(cell, drawn.arranged(index, each.shots), each)
            for index, each in enumerate(self._fitted(cell))
        ]

    def _request(self, cell: Cell, exemplars: Exemplars, fitted: _Fitted) -> Request:
        benchmark, target = cell.benchmark, exemplars.query.target
        follow = partial(benchmark.language.can_still_match, target=target)
        chat, prompt = cell.model.identity.chat_template, self._prompt(cell, exemplars)
        return Request(
            prompt=prompt,
            gold=prompts.gold(target)
            if chat is None
            else chat.continuation(prompt.messages, target),
            stop=benchmark.template.stop,
            max_new_bytes=cell.max_new_bytes,
            extra_tokens=0 if chat is None else chat.extra_tokens,
            can_still_match=follow if self._sweep.canonical and chat is None else None,
            likelihood=self._sweep.likelihood,
            rank=cell.rank,
            cell=cell.info.key,
            target=target,
            coverage=exemplars.coverage[-1],
            matched=None if exemplars.matched is None else exemplars.matched[-1],
            tokens=fitted.tokens,
            fits=fitted.fits,
        )

    def _prompt(self, cell: Cell, exemplars: Exemplars) -> Prompt:
        template, layout = cell.benchmark.template, cell.model.spec.chat_layout
        prompt = prompts.render(template, exemplars)
        if layout is None:
            return prompt
        messages = prompts.chat_messages(template, exemplars, layout)
        chat = cell.model.identity.chat_template
        text = prompt.text if chat is None else chat.render(messages)
        return replace(prompt, messages=messages, text=text)

    def sizes(self, cell: Cell) -> PromptSizes:
        """Measure the prompts of a cell; none is written.

        Raises:
            PromptError: A prompt does not fit, and the sweep says that this is an error.
            SamplingError: A pool holds too few examples.
        """
        identity = cell.model.identity
        key = (*self._key(cell, cell.info.condition), cell.info.shots, identity.context_length)
        if key not in self._sizes:
            fitted = list(self._fitted(cell))
            self._sizes[key] = PromptSizes(
                tuple(each.tokens for each in fitted if each.tokens is not None),
                skipped=sum(not each.fits for each in fitted),
                shortened=sum(each.shots < cell.info.shots for each in fitted),
            )
        return self._sizes[key]

    def _fitted(self, cell: Cell) -> Iterator[_Fitted]:
        """Fit the prompt of each query of a cell to the context."""
        drawn = {condition: self._draw(cell, condition) for condition in self._sweep.conditions}
        reserves = self._reserves(cell)
        here = drawn.pop(cell.info.condition)
        conditions = (here, *drawn.values())
        for index, reserve in enumerate(reserves):
            yield self._fit(cell, conditions, index, reserve)

    def _fit(
        self, cell: Cell, conditions: Sequence[_DrawnExemplars], index: int, reserve: int
    ) -> _Fitted:
        """Fit the prompt of one query; the cell's own condition comes first."""
        wanted = cell.info.shots
        fitting = _fitting_shots(cell, conditions, index, reserve)
        drops = self._sweep.overflow == "drop_shots" and fitting >= 0
        shots = fitting if drops else wanted
        tokens = conditions[0].length(cell, index, shots)
        fits = drops or fitting == wanted
        if not fits and self._sweep.overflow != "skip":
            identity, query = cell.model.identity, conditions[0].exemplars[index].query
            raise PromptError(
                f"the prompt of query {query.id} ({cell.benchmark.data.name}) does not fit "
                f"the context of {identity.name}",
                value=f"{tokens} tokens at {shots_text(wanted)}, and {reserve} for the answer",
                allowed=f"{identity.context_length} tokens in all; fewer shots"
                f"{_less_thinking(cell)}, or "
                "`overflow: skip` or `overflow: drop_shots`"
                if fitting >= 0
                else f"{identity.context_length} tokens in all; even without exemplars it does "
                f"not fit, so `overflow: skip`{_less_thinking(cell)}, or another model",
            ).at(key=cell.model.shots_place)
        return _Fitted(shots, tokens, fits)

    def _draw(self, cell: Cell, condition: Condition) -> _DrawnExemplars:
        model, benchmark, info = cell.model, cell.benchmark, cell.info
        shots, key = max(model.shots), self._key(cell, condition)
        if key not in self._drawn:
            queries = benchmark.queries[info.query_split]
            if benchmark.embed is not None:  # all at once: many times faster than one by one
                benchmark.embed([query.source for query in queries])
            try:
                exemplars = self._sample(cell, condition, queries, shots)
            except SamplingError as error:
                error.at(key=model.shots_place)
                raise
            order = self._sweep.sampler.order
            self._drawn[key] = _DrawnExemplars(exemplars, order, info.seed)
        return self._drawn[key]

    def _sample(
        self, cell: Cell, condition: Condition, queries: Sequence[Example], shots: int
    ) -> list[Exemplars]:
        sampler, seed = self._sweep.sampler, cell.info.seed
        pool = self._pool(cell, condition)
        if condition == "ood_matched":
            twins, own = self._draw(cell, "id").exemplars, self._pool(cell, "id")
            return [sampling.sample_matched(sampler, pool, each, own, seed=seed) for each in twins]
        return [sampling.sample(sampler, pool, query, shots=shots, seed=seed) for query in queries]

    def _key(self, cell: Cell, condition: Condition) -> tuple[object, ...]:
        """Return a key that cells with the same exemplars share."""
        model, info = cell.model, cell.info
        tokenizer, shots = model.identity.tokenizer, max(model.shots)
        return cell.benchmark, tokenizer, info.query_split, condition, info.seed, shots

    def _pool(self, cell: Cell, condition: Condition) -> sampling.Pool:
        benchmark, model = cell.benchmark, cell.model
        split = sampling.pool_split(cell.info.query_split, condition)
        key = (benchmark, model.identity.tokenizer, split)
        if key not in self._pools:
            tree_of = benchmark.language.lenient_tree
            self._pools[key] = sampling.Pool(
                benchmark.exemplar_source,
                split,
                str.split if model.tokenizer is None else model.tokenizer,
                Structures(tree_of),
                benchmark.embed,
                pairs=lambda target: sorted(local_structures(tree_of(target))),
            )
        return self._pools[key]

    def _reserves(self, cell: Cell) -> Sequence[int]:
        """Return the tokens that the gold answer of each query takes, its stop included.

        In a chat, those that are allowed for thinking are added, and for what stands around it. A
        query's room depends on that query alone, so a sweep's limit does not change what fits.
        """
        benchmark, identity, split = cell.benchmark, cell.model.identity, cell.info.query_split
        queries, tokenizer = benchmark.queries[split], cell.model.tokenizer
        if tokenizer is None or identity.context_length is None:
            return [0] * len(queries)
        key = (benchmark, identity.tokenizer, split)
        if key not in self._answer_tokens:
            answers = (
                prompts.gold_with_stop(benchmark.template, query.target) for query in queries
            )
            more = 0 if identity.chat_template is None else identity.chat_template.extra_tokens
            self._answer_tokens[key] = [len(tokenizer.encode(each)) + more for each in answers]
        return self._answer_tokens[key]


class _DrawnExemplars:
    """The exemplars of all queries under one condition and seed, and the lengths of their prompts.

    Args:
        exemplars: The exemplars of each query at the most shots, as chosen.
        order: The order in which they stand in a prompt.
        seed: The cell's seed.
    """

    def __init__(self, exemplars: list[Exemplars], order: sampling.Order, seed: int) -> None:
        self.exemplars = exemplars
        self._order: sampling.Order = order
        self._seed = seed
        self._lengths: dict[tuple[int, int], int] = {}

    def arranged(self, index: int, shots: int) -> Exemplars:
        """Return the exemplars of a query as they stand in its prompt."""
        return sampling.order_exemplars(self._order, self.exemplars[index].first(shots), self._seed)

    def length(self, cell: Cell, index: int, shots: int) -> int | None:
        """Return the tokens of a query's prompt; None where the model has no tokenizer."""
        tokenizer = cell.model.tokenizer
        if tokenizer is None:
            return None
        if (index, shots) not in self._lengths:
            parts = _parts(cell, self.arranged(index, shots))
            self._lengths[index, shots] = tokenizer.prompt_length(*parts)
        return self._lengths[index, shots]


def _less_thinking(cell: Cell) -> str:
    """Return what else to try where a model's thoughts take room."""
    chat = cell.model.identity.chat_template
    return "" if chat is None or not chat.thinking_tokens else ", fewer `thinking_tokens`"


def _parts(cell: Cell, exemplars: Exemplars) -> Sequence[str]:
    """Return the text of a prompt in parts; one that a chat template writes is a part."""
    template, chat = cell.benchmark.template, cell.model.identity.chat_template
    layout = cell.model.spec.chat_layout
    if chat is None or layout is None:
        return prompts.parts(template, exemplars)
    return (chat.render(prompts.chat_messages(template, exemplars, layout)),)


def _fitting_shots(
    cell: Cell, conditions: Sequence[_DrawnExemplars], index: int, reserve: int
) -> int:
    """Return the largest number of shots, up to the cell's, at which all prompts of a query fit.

    Returns:
        -1 if not even the prompt without exemplars fits.
    """
    shots, context = cell.info.shots, cell.model.identity.context_length
    if cell.model.tokenizer is None or context is None:
        return shots

    def needed(k: int) -> int:
        return reserve + max(drawn.length(cell, index, k) or 0 for drawn in conditions)

    if needed(shots) <= context:
        return shots
    return bisect_right(range(shots), context, key=needed) - 1
