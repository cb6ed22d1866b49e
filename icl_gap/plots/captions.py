"""Captions: the texts that explain the marks of a figure."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.analysis import Verdict
from icl_gap.analysis.conclusion import conclude
from icl_gap.plots.axes import FLAGGED, QUERY_CAPTIONS
from icl_gap.plots.content import Panel, partial_notes
from icl_gap.plots.draw import ISO_GAPS
from icl_gap.plots.plan import FigurePlan


def curve_caption(plan: FigurePlan) -> str:
    """Return the caption of a figure of curves."""
    marks = plan.marks
    parts = [
        *dict.fromkeys(axis.caption for axis in (plan.y, plan.x)),
        QUERY_CAPTIONS[plan.recipe.query_split],
        f"bars: {_intervals(plan)}" if any(mark.x is not None and mark.y for mark in marks) else "",
        f"bands about level lines: {_intervals(plan)}"
        if any(mark.x is None and mark.y for mark in marks)
        else "",
        f"lines: random-effects fit on log10({plan.x.label}), with {_intervals(plan)} of the line"
        " (dark bands) and of a new model (light bands)"
        if plan.fits
        else "",
        "y contains x: chance in A_ood alone makes gaps fall from left to right"
        if plan.y_has_x
        else "",
        plan.y.missing if any(mark.y is None for mark in marks) else "",
        f"half-filled markers: {FLAGGED}" if any(mark.flagged for mark in marks) else "",
        "models of unknown size: by name, in the order of the sweep"
        if any(mark.named for mark in marks)
        else "",
        "larger markers: more parameters" if len({mark.weight for mark in marks}) > 1 else "",
        f"dotted: gaps of {', '.join(f'{gap:.0%}' for gap in ISO_GAPS)}" if plan.guided else "",
        _clause(conclude(plan.analysis).lead) if plan.fits else "",
    ]
    return "; ".join(part for part in parts if part)


def _clause(sentence: str) -> str:
    """Return a sentence as a part of another."""
    return f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"


def _intervals(plan: FigurePlan) -> str:
    return f"{plan.analysis.confidence:.0%}\N{NO-BREAK SPACE}intervals"


def panel_notes(plan: FigurePlan, panel: Panel, *, first: bool) -> list[str]:
    """Return the notes above a panel.

    Args:
        plan: The figure.
        panel: The panel.
        first: The panel is the first of its column, so that notes on the whole column stand there.
    """
    column = (each for row in plan.rows for each in row if each.column == panel.column)
    partial = partial_notes([mark.point for each in column for mark in each.marks])
    return [
        *(f"partial: {note}" for note in partial if first),
        *(verdict_notes(panel) if plan.fitted else ()),
    ]


def verdict_notes(panel: Panel) -> Sequence[str]:
    """Return the verdict on each line of a panel; one for all if they are the same."""
    verdicts: dict[Verdict, list[str]] = {}
    for fit in panel.fits:
        verdicts.setdefault(fit.verdict, []).append(fit.family)
    if len(verdicts) == 1:
        return [f"verdict: {next(iter(verdicts))}"]
    return [f"{verdict}: {', '.join(families)}" for verdict, families in verdicts.items()]
