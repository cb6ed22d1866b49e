"""Estimates made before a run: prompts that fit, tokens, operations, memory, and servers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from icl_gap.errors import ModelError
from icl_gap.evaluation.chat_scores import score_completion
from icl_gap.evaluation.grid import Cell, group_into_jobs
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.planning import Plan
from icl_gap.models import (
    Footprint,
    OpenAISpec,
    Tokenizer,
    answering_seconds,
    measure_footprint,
)
from icl_gap.models.hf.engine.tokenization import tokenize_requests
from icl_gap.models.hf.engine.trie import TokenCounts, count_tokens
from icl_gap.models.hf.folder import check_weights, weight_files
from icl_gap.models.hf.memory import MemoryFit, memory_fit
from icl_gap.progress import Progress
from icl_gap.schema import CellInfo, Predictions

_SCORED = 20
"""Gold answers that are scored, to see how long that takes."""


@dataclass(frozen=True, slots=True)
class PromptCounts:
    """The prompts of one model on one benchmark with one number of shots."""

    info: CellInfo
    """The first of the cells."""
    n_cells: int
    requests: int
    tokens: int | None
    """Of all prompts; None where the model has no tokenizer."""
    longest: int | None
    """The tokens of the longest prompt."""
    context_length: int | None
    """The model's, in tokens; None where it has no limit."""
    shortened: int
    """Requests with fewer shots than the cell's, so that they fit."""
    skipped: int
    """Requests that are left out because they do not fit."""

    @property
    def fit(self) -> int:
        """Requests whose prompts fit as they are."""
        return self.requests - self.shortened - self.skipped


@dataclass(frozen=True, slots=True)
class JobSize:
    """The work that one model has on one benchmark."""

    counts: TokenCounts
    host_seconds: float
    """Measured time to tokenize all requests, and to score as many answers as there are."""


@dataclass(frozen=True, slots=True)
class ComputeCost:
    """The computation that one model takes on one benchmark, as far as gold answers go."""

    model: str
    benchmark: str
    sizes: TokenCounts
    operations: float
    """Floating-point operations."""
    rate: float | None
    """Operations a second of the model's device; None where it is in another machine."""
    seconds: float | None
    """The estimated time to answer, once the model is loaded; None as the rate is."""


@dataclass(frozen=True, slots=True)
class ServerUse:
    """A model on a server, and the environment variable that holds its key."""

    model: str
    base_url: str
    api_key_env: str
    """The name of the variable; its value is not read."""
    answers_as: tuple[str, ...]
    """The names by which the server may call the model."""


def count_prompts(plan: Plan) -> Iterator[PromptCounts]:
    """Count the prompts of a sweep, by model, benchmark and number of shots.

    Args:
        plan: The sweep's plan.
    """
    for _, group in groupby(plan.cells, key=lambda cell: (cell.model, cell.benchmark)):
        cells = list(group)
        for shots in dict.fromkeys(cell.info.shots for cell in cells):
            yield _counts(plan, [cell for cell in cells if cell.info.shots == shots])


def _counts(plan: Plan, cells: Sequence[Cell]) -> PromptCounts:
    sizes = [plan.sizes(cell) for cell in cells]
    tokens = [count for each in sizes for count in each.prompt_tokens]
    return PromptCounts(
        info=cells[0].info,
        n_cells=len(cells),
        requests=sum(cell.info.n_queries for cell in cells),
        tokens=sum(tokens) if tokens else None,
        longest=max(tokens, default=None),
        context_length=cells[0].model.identity.context_length,
        shortened=sum(each.shortened for each in sizes),
        skipped=sum(each.skipped for each in sizes),
    )


def measure_jobs(plan: Plan, progress: Progress) -> Iterator[tuple[SweepModel, str, JobSize]]:
    """Count the tokens of each model on each benchmark, for models that have a tokenizer.

    Args:
        plan: The sweep's plan.
        progress: Shows progress.

    Yields:
        The model, the name of the benchmark, and the size of the job.
    """
    known: dict[object, JobSize] = {}
    jobs = group_into_jobs(plan.cells)
    for cells in progress(jobs, "counting tokens", len(jobs)):
        model, tokenizer = cells[0].model, cells[0].model.tokenizer
        if tokenizer is None:
            continue
        benchmarks = tuple(dict.fromkeys(cell.benchmark for cell in cells))
        context_length = model.identity.context_length
        chats = model.identity.chat_template is not None
        key = (model.identity.tokenizer, context_length, model.shots, benchmarks, chats)
        if key not in known:
            predictions = "full" if chats else plan.sweep.predictions
            known[key] = _measured(plan, cells, tokenizer, predictions)
        yield model, cells[0].benchmark.data.name, known[key]


def _measured(
    plan: Plan, cells: Sequence[Cell], tokenizer: Tokenizer, predictions: Predictions
) -> JobSize:
    """Tokenize the requests of a job, which a run does too, and score some gold answers."""
    requests = [(each, cell) for cell in cells for each in plan.requests(cell) if each.fits]
    began = time.perf_counter()
    tokenized, _ = tokenize_requests(
        [request for request, _ in requests],
        tokenizer,
        context_length=cells[0].model.identity.context_length,
        predictions=predictions,
    )
    counts = count_tokens(
        [each.path for each in tokenized],
        [len(each.ids) for each in tokenized],
        full=predictions == "full",
    )
    counted, sample = time.perf_counter(), requests[:: max(1, len(requests) // _SCORED)]
    for request, cell in sample:
        score_completion(request.gold, request, cell)
    scoring = (time.perf_counter() - counted) / max(1, len(sample))
    return JobSize(counts, counted - began + scoring * len(requests))


def compute_costs(plan: Plan, progress: Progress) -> Iterator[ComputeCost]:
    """Estimate the computation of each model with weights on each benchmark.

    The rate of a device is measured once for each model.

    Args:
        plan: The sweep's plan.
        progress: Shows progress.
    """
    rates: dict[SweepModel, float | None] = {}
    for model, benchmark, size in measure_jobs(plan, progress):
        found = measure_footprint(model.spec, model.identity)
        if found is None or not size.counts.paths:
            continue
        if model not in rates:
            rates[model] = _rate_here(found)
        yield ComputeCost(
            model=model.identity.name,
            benchmark=benchmark,
            sizes=size.counts,
            operations=found.operations(size.counts),
            rate=rates[model],
            seconds=None if rates[model] is None else _seconds_here(model, size),
        )


def _seconds_here(model: SweepModel, size: JobSize) -> float | None:
    """Estimate the time of a job, its work on the host included."""
    seconds = answering_seconds(model.spec, model.identity, size.counts)
    return None if seconds is None else seconds + size.host_seconds


def _rate_here(footprint: Footprint) -> float | None:
    """Measure the rate of the model's device; None where it is in another machine."""
    from icl_gap.models.hf.cost import matmul_rate  # brings torch in

    try:
        return matmul_rate(footprint)
    except ModelError:
        return None


def memory_needs(plan: Plan) -> Iterator[tuple[str, MemoryFit]]:
    """Compare what each model with weights takes of memory with what this machine has.

    Args:
        plan: The sweep's plan.

    Yields:
        The name of a model, and its needs. Models whose device is in another machine are left out.
    """
    for model in plan.models:
        try:
            footprint = measure_footprint(model.spec, model.identity)
            found = None if footprint is None else memory_fit(footprint)
        except ModelError:
            continue
        if found is not None:
            yield model.identity.name, found


def count_model_parameters(plan: Plan) -> Iterator[tuple[SweepModel, int | None]]:
    """Count the parameters of each model of a sweep; no weights are loaded.

    Args:
        plan: The sweep's plan.

    Yields:
        A model, and its number of parameters, counted or as stated; None where it is not known.
    """
    for model in plan.models:
        stated = model.identity.n_params
        try:
            footprint = measure_footprint(model.spec, model.identity) if stated is None else None
        except ModelError:
            footprint = None
        yield model, stated if footprint is None else footprint.n_params


def shots_without_gap(plan: Plan) -> str | None:
    """Return a note on prompts without exemplars, which are the same ID and OOD; None without any.

    Args:
        plan: The sweep's plan.
    """
    if {"id", "ood"} <= set(plan.sweep.conditions) and any(0 in m.shots for m in plan.models):
        return "with 0 shots ID and OOD are one prompt, so there is no gap to estimate"
    return None


def damaged_weights(plan: Plan) -> Iterator[str]:
    """Check the files of weights at hand, which a run would only do as it loads them.

    Args:
        plan: The sweep's plan.

    Yields:
        A problem for each model that could not be loaded.
    """
    for model in plan.models:
        folder = model.identity.folder
        if folder is None or "files" not in model.identity.key:
            continue
        try:
            check_weights(weight_files(folder))
        except ModelError as error:
            yield str(error.within(model.place))


def server_uses(plan: Plan) -> Iterator[ServerUse]:
    """List the models of a sweep that servers run, and where their keys come from.

    Args:
        plan: The sweep's plan.
    """
    for model in plan.models:
        if isinstance(spec := model.spec, OpenAISpec):
            names = (spec.model, *spec.model_alias)
            yield ServerUse(model.identity.name, spec.base_url, spec.api_key_env, names)


def note_on_copies(plan: Plan) -> str | None:
    """Return a note on models that are held in two precisions; None without any.

    Args:
        plan: The sweep's plan.
    """
    held = [each for each in plan.models if each.spec.placement and each.spec.placement.adjudicated]
    names = ", ".join(each.identity.name for each in held)
    return f"held in half precision and in float32: {names}" if held else None
