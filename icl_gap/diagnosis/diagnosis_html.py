"""The HTML table that a notebook shows for a diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from icl_gap.analysis.estimate import Estimate
from icl_gap.html_table import html_table
from icl_gap.text import plain_number

if TYPE_CHECKING:
    from icl_gap.diagnosis.diagnose import Diagnosis


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Return a table of the gaps of a diagnosis, over all pairs and over those of equal coverage.

    Args:
        diagnosis: The diagnosis.
    """
    rows = [
        {"benchmark": group.benchmark, "model": model, "shots": str(group.shots)}
        | {"queries": group.query_split, "pairs": f"{each.n:,}", "gap": _text(each.gap)}
        | {"matched pairs": f"{each.n_matched:,}", "gap of matched": _text(each.matched)}
        for (model, group), each in diagnosis.explained.items()
    ]
    caption = (
        "The gap of all pairs of requests, and of those with equal coverage ID and OOD; "
        "to_json() has all tables"
    )
    return html_table(caption, rows, left=("benchmark", "model"))


def _text(found: Estimate | None) -> str:
    if found is None:
        return "-"
    value, low, high = map(plain_number, (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"
