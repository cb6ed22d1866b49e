"""The part of `icl-gap plan` that says what a sweep would detect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log10
from textwrap import fill
from typing import TYPE_CHECKING

from icl_gap.cli.console import say

if TYPE_CHECKING:
    from icl_gap.analysis.power import Design, Remedy
    from icl_gap.evaluation.planning import Plan

_WIDTH, _NAME_WIDTH = 80, 36
_SDS = (0.02, 0.05, 0.1)
"""Standard deviations τ of models about their line for which slopes are shown."""
_SLOPE, _SD = -0.1, 0.05
"""The slope and the τ of the remedy."""


@dataclass(frozen=True, slots=True)
class PlannedDesign:
    """The design of one family on one benchmark."""

    name: str
    """Family and benchmark."""
    design: Design
    available: int
    """Queries of a side that the benchmark has."""


def show_power(plan: Plan) -> None:
    """Print the gaps and slopes that a sweep would detect with 80% power, and the remedies.

    Nothing is printed for a sweep without gaps, or without trained models of known size.

    Args:
        plan: The sweep's plan.
    """
    planned = list(planned_designs(plan))
    if not planned:
        return
    for line in power_lines(planned, seeds=len(plan.sweep.seeds)):
        say(line)
    if plan.sweep.sampler.shares_exemplars:
        say(_filled("Queries share their exemplars: variation between seeds comes on top."))


def planned_designs(plan: Plan) -> Iterator[PlannedDesign]:
    """Yield the design of each family on each benchmark of a sweep.

    Models that no fit uses are left out: untrained ones, and those whose size is not known or is an
    estimate.
    """
    from icl_gap.analysis.power import Design
    from icl_gap.evaluation.estimates import count_model_parameters

    if not {"id", "ood"} <= set(plan.sweep.conditions):
        return
    families: dict[str, list[float]] = defaultdict(list)
    for model, n_params in count_model_parameters(plan):
        about = model.identity
        usable = about.trained and about.size_source != "estimated" and any(model.shots)
        if usable and n_params is not None:
            families[about.family].append(log10(n_params))
    benchmarks = dict.fromkeys(cell.benchmark for cell in plan.cells)
    for family, scales in families.items():
        for each in benchmarks:
            queries = tuple(len(some) for some in each.queries.values())
            if all(queries):
                yield PlannedDesign(
                    f"{family} on {each.data.name}/{each.data.split}",
                    Design(tuple(sorted(scales)), queries, len(plan.sweep.seeds)),
                    min(len(some) for some in each.query_ids.values()),
                )


def power_lines(planned: Sequence[PlannedDesign], *, seeds: int) -> Iterator[str]:
    """Yield the table and the sentences under it, at most 80 columns wide.

    Args:
        planned: The designs; at least one.
        seeds: Seeds of each.
    """
    first = planned[0].design
    yield _filled(
        f"What it would detect with 80% power, for each number of shots ({seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}; queries of a side; the gap of one model; the slope "
        "of the gap a decade of parameters, by the sd τ of models about their line). Assumed: "
        f"A_id {first.a_id:g}, and hits on a query that correlate by {first.seed_correlation:g} "
        f"between seeds and by {first.condition_correlation:g} between ID and OOD."
    )
    yield from _row("", "models", "queries", "gap", [f"τ {sd:g}" for sd in _SDS])
    for each in planned:
        design = each.design
        slopes = [_number(design.smallest_slope(sd)) for sd in _SDS]
        models, queries = str(len(design.scales)), f"{min(design.queries):,}"
        yield from _row(each.name, models, queries, _number(design.smallest_gap), slopes)
    yield from map(_filled, _sentences(planned))


def _sentences(planned: Sequence[PlannedDesign]) -> Iterator[str]:
    """Yield what is possible and what it would take; designs of one sentence share it."""
    from icl_gap.analysis.power import FEWEST_MODELS, FEWEST_PERMUTED_MODELS

    names: dict[str, list[str]] = defaultdict(list)
    for each in planned:
        n_models = len(each.design.scales)
        remedy = _remedy(each)
        if remedy is not None:
            names[remedy.sentence].append(each.name)
        elif n_models < FEWEST_MODELS:
            text = f"No slope can be fitted to fewer than {FEWEST_MODELS} models."
            names[text].append(each.name)
        else:
            names["No slope can be fitted to models of one size."].append(each.name)
        if FEWEST_MODELS <= n_models < FEWEST_PERMUTED_MODELS:
            text = f"The permutation test needs {FEWEST_PERMUTED_MODELS} models to reach p ≤ 0.05."
            names[text].append(each.name)
    for sentence, those in names.items():
        yield sentence if len(those) == len(planned) else f"{', '.join(those)}: {sentence}"


def _remedy(planned: PlannedDesign) -> Remedy | None:
    """Return the remedy for a slope of -0.1; None where no slope can be fitted."""
    from icl_gap.analysis.power import find_remedy

    design = planned.design
    if design.smallest_slope(_SD) is None:
        return None
    return find_remedy(
        design.scales,
        design.gap_error,
        min(design.queries),
        slope=_SLOPE,
        between_model_sd=_SD,
        available=planned.available,
    )


def _row(name: str, models: str, queries: str, gap: str, slopes: Sequence[str]) -> Iterator[str]:
    """Yield a row, under its name where that is long."""
    if len(name) >= _NAME_WIDTH:
        yield name
        name = ""
    numbers = (f"{models:>6}", f"{queries:>8}", *(f"{each:>6}" for each in (gap, *slopes)))
    yield f"{name:<{_NAME_WIDTH}}{' '.join(numbers)}"


def _number(value: float | None) -> str:
    """Return a gap or slope as text; none of more than 9.99 has a meaning."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else ">10"


def _filled(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
