"""`icl-gap audit`: why there is a gap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, show_progress, show_table
from icl_gap.cli.results import Folder, Match

if TYPE_CHECKING:
    from icl_gap.diagnosis import Audit
    from icl_gap.diagnosis.decomposition import Range
    from icl_gap.diagnosis.diagnose import Place

WORDS = ("benchmark", "model", "queries", "exemplars")


def audit(
    results: Folder,
    *,
    metric: Match = "raw",
    csv: Annotated[
        Path | None, typer.Option(help="A file for what was measured of each request.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what exemplars cover, what of the gap that explains, and how answers are wrong.

    The texts come from the benchmarks at hand.
    """
    from icl_gap.diagnosis import audit as audited
    from icl_gap.results import open_results

    found = audited(open_results(results), metric=metric, csv=csv, progress=show_progress)
    if as_json:
        say(json.dumps(found.to_json(), indent=1))
        return
    show_table(_coverage(found), title="what exemplars hold of their query, means", left=WORDS)
    if rows := _divergences(found):
        show_table(rows, title="divergence of the queries from the pool, 0 to 1", left=WORDS)
    if rows := _matched(found):
        title = "the gap at equal coverage: of all pairs, and of those covered alike; 95% intervals"
        show_table(rows, title=title, left=WORDS)
    if rows := _explained(found):
        title = "the part of the gap that each explains, in the gap's own unit; 95% intervals"
        show_table(rows, title=title, left=WORDS)
    if rows := _kinds(found):
        show_table(rows, title="wrong answers by kind", left=WORDS)
    for note in found.notes:
        say(f"note: {note}")


def _place(at: Place) -> dict[str, str]:
    return {"benchmark": at.benchmark, "queries": at.query_split, "shots": str(at.shots)}


def _coverage(found: Audit) -> list[dict[str, str]]:
    return [
        {**_place(at), "exemplars": condition.upper()}
        | {name.replace("_", " "): f"{mean:.3f}" for name, mean in means.items()}
        for (at, condition), means in sorted(found.coverage.items())
    ]


def _divergences(found: Audit) -> list[dict[str, str]]:
    return [
        {"benchmark": name, "queries": split, "exemplars": condition.upper()}
        | {"atoms": f"{atoms:.3f}", "compounds": f"{compounds:.3f}"}
        for (name, split, condition), (atoms, compounds) in sorted(found.divergences.items())
    ]


def _matched(found: Audit) -> list[dict[str, str]]:
    return [
        {"model": model, **_place(at)}
        | {"pairs": f"{each.n:,}", "gap": _range(each.gap)}
        | {"alike": f"{each.n_matched:,}", "gap of these": _range(each.matched)}
        for (model, at), each in found.explained.items()
    ]


def _explained(found: Audit) -> list[dict[str, str]]:
    return [
        {"model": model, **_place(at), "gap": _range(each.gap)}
        | {name: _range(part) for name, part in each.explained.items()}
        for (model, at), each in found.explained.items()
        if each.explained
    ]


def _range(found: Range | None) -> str:
    return "-" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _kinds(found: Audit) -> list[dict[str, str]]:
    from icl_gap.diagnosis import KINDS

    seen = [kind for kind in KINDS if any(kinds.get(kind) for kinds in found.kinds.values())]
    rows = []
    for (model, at, condition), kinds in sorted(found.kinds.items()):
        diverged = found.diverged.get((model, at, condition))
        row = {"model": model, **_place(at), "exemplars": condition.upper()}
        row |= {kind: f"{kinds.get(kind, 0):,}" for kind in seen}
        rows.append(row | {"leaves at": "-" if diverged is None else f"{diverged:.2f}"})
    return rows
