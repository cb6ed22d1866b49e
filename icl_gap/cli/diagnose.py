"""`icl-gap diagnose`: the causes of a gap."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, say_note, show_progress, show_table
from icl_gap.cli.results import Folder, MetricOption

if TYPE_CHECKING:
    from icl_gap.analysis.estimate import Estimate
    from icl_gap.diagnosis import Diagnosis, Explanation, RequestGroup

TEXT_COLUMNS = ("benchmark", "model", "queries", "exemplars")


def diagnose(
    results: Folder,
    *,
    metric: MetricOption = "raw",
    csv: Annotated[
        Path | None, typer.Option(help="CSV file to write the measures of each request to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show why there is a gap: coverage, divergence, error types.

    Prompts and answers are rebuilt from the benchmarks of the run, which must be available.
    """
    from icl_gap.diagnosis import diagnose as diagnose_results
    from icl_gap.evaluation.adjudicated import count_adjudicated
    from icl_gap.results import open_results

    opened = open_results(results)
    found = diagnose_results(opened, metric=metric, csv=csv, progress=show_progress)
    if as_json:
        say(json.dumps(found.to_json(), indent=1))
        return
    tables = {
        "coverage of queries by their exemplars (means)": _coverage(found),
        "divergence of the queries from the pool (0 to 1)": _divergences(found),
        "the gap at equal coverage: all pairs, and matched pairs; 95% intervals": _matched(found),
        "exemplars matched by experiment (ood_matched): the gap that remains; 95% intervals": (
            _remaining(found)
        ),
        "part of the gap explained by each factor; 95% intervals, E-values": _explained(found),
        "wrong answers by error type": _error_types(found),
    }
    for title, rows in tables.items():
        if rows:
            show_table(rows, title=title, left=TEXT_COLUMNS)
    for note in (*_untold(found), *found.notes, *count_adjudicated(opened)):
        say_note(str(note))


def _described(group: RequestGroup) -> dict[str, str]:
    return {"benchmark": group.benchmark, "queries": group.query_split, "shots": str(group.shots)}


def _coverage(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {**_described(group), "exemplars": condition.upper()}
        | {name.replace("_", " "): f"{mean:.3f}" for name, mean in means.items()}
        for (group, condition), means in sorted(found.coverage.items())
    ]


def _divergences(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {"benchmark": name, "queries": split, "exemplars": condition.upper()}
        | {"atoms": f"{atoms:.3f}", "compounds": f"{compounds:.3f}"}
        for (name, split, condition), (atoms, compounds) in sorted(found.divergences.items())
    ]


def _matched(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {"model": model, **_described(group)}
        | {"pairs": f"{each.n:,}", "gap": _estimate(each.gap)}
        | {"matched": f"{each.n_matched:,}", "gap of matched": _estimate(each.matched)}
        for (model, group), each in found.explained.items()
    ]


def _remaining(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {"model": each.model, "benchmark": each.benchmark, "queries": each.query_split}
        | {"shots": str(each.shots), "matched": f"{each.n_matched:,}"}
        | {"unmatched": f"{each.n_unmatched:,}", "gap": _estimate(each.ordinary)}
        | {"remains": _estimate(each.remaining)}
        | {"share vanished": "cannot tell" if each.vanished is None else _estimate(each.vanished)}
        for each in found.matched
    ]


def _explained(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {"model": model, **_described(group), "gap": _estimate(each.gap)}
        | {name: _part(factor) for name, factor in each.explained.items()}
        for (model, group), each in found.explained.items()
        if each.explained
    ]


def _part(factor: Explanation) -> str:
    """Return part and interval, and the E-value where the interval excludes 0."""
    if factor.part is None:
        return "cannot tell"
    held = factor.e_value is None or factor.part.low <= 0 <= factor.part.high
    strength = "" if held else f" E {factor.e_value:.1f}"
    return f"{_estimate(factor.part)}{strength}"


def _untold(found: Diagnosis) -> Iterator[str]:
    """Yield why some numbers cannot be told, each reason once; `--json` has all of them."""
    factors: dict[str, dict[str, int]] = {}
    for each in found.explained.values():
        for name, factor in each.explained.items():
            if factor.cannot_tell is not None:
                names = factors.setdefault(factor.cannot_tell.partition(":")[0], {})
                names[name] = names.get(name, 0) + 1
    for reason, names in factors.items():
        listed = ", ".join(f"{name} ({count} gaps)" for name, count in names.items())
        yield f"cannot tell what a factor explains, because {reason}: {listed}"
    contrasts = Counter(each.because for each in found.matched if each.because is not None)
    for because, count in contrasts.items():
        yield f"cannot tell which share of the gap vanished, because {because}: {count} gaps"


def _estimate(found: Estimate | None) -> str:
    return "-" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _error_types(found: Diagnosis) -> list[dict[str, str]]:
    from icl_gap.diagnosis import ERROR_TYPES

    tables = found.error_types.values()
    seen = [name for name in ERROR_TYPES if any(counts.get(name) for counts in tables)]
    rows = []
    for (model, group, condition), counts in sorted(found.error_types.items()):
        diverged = found.diverged.get((model, group, condition))
        row = {"model": model, **_described(group), "exemplars": condition.upper()}
        row |= {name: f"{counts.get(name, 0):,}" for name in seen}
        rows.append(row | {"diverges at": "-" if diverged is None else f"{diverged:.2f}"})
    return rows
