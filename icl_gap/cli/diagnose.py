"""`icl-gap diagnose`: the causes of a gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, show_progress, show_table
from icl_gap.cli.results import Folder, MetricOption

if TYPE_CHECKING:
    from icl_gap.analysis.estimate import Estimate
    from icl_gap.diagnosis import Diagnosis, RequestGroup

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
    from icl_gap.results import open_results

    found = diagnose_results(open_results(results), metric=metric, csv=csv, progress=show_progress)
    if as_json:
        say(json.dumps(found.to_json(), indent=1))
        return
    tables = {
        "coverage of queries by their exemplars (means)": _coverage(found),
        "divergence of the queries from the pool (0 to 1)": _divergences(found),
        "the gap at equal coverage: all pairs, and matched pairs; 95% intervals": _matched(found),
        "part of the gap explained by each factor; 95% intervals": _explained(found),
        "wrong answers by error type": _error_types(found),
    }
    for title, rows in tables.items():
        if rows:
            show_table(rows, title=title, left=TEXT_COLUMNS)
    for note in found.notes:
        say(f"note: {note}")


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


def _explained(found: Diagnosis) -> list[dict[str, str]]:
    return [
        {"model": model, **_described(group), "gap": _estimate(each.gap)}
        | {name: _estimate(part) for name, part in each.explained.items()}
        for (model, group), each in found.explained.items()
        if each.explained
    ]


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
