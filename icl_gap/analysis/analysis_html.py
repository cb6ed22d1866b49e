"""The HTML table that a notebook shows for an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

from icl_gap.analysis.conclusion import conclude, telling_points, with_interval
from icl_gap.analysis.table import size_text
from icl_gap.html_table import html_table
from icl_gap.text import plain_number

if TYPE_CHECKING:
    from icl_gap.analysis.analyze import Analysis
    from icl_gap.analysis.points import GapPoint


def analysis_html(analysis: Analysis) -> str:
    """Return the answer of an analysis, and a table of the gaps that tell most.

    Args:
        analysis: The analysis.
    """
    points = list(chain.from_iterable(telling_points(analysis).values()))
    fewer = len(points) < len(analysis.points)
    more = f" {len(points)} of {len(analysis.points):,} gaps; to_frame() has all." if fewer else ""
    rows = [_row(point) for point in points]
    return html_table(f"{conclude(analysis).lead}{more}", rows, left=("benchmark", "model"))


def _row(point: GapPoint) -> Mapping[str, str]:
    return {
        "benchmark": point.benchmark,
        "model": point.model + ("" if point.trained else " (untrained)"),
        "params": size_text(point),
        "shots": str(point.shots),
        "queries": point.query_split,
        "A_id": plain_number(point.a_id.value),
        "A_ood": plain_number(point.a_ood.value),
        "gap": "unresolved" if point.gap is None else with_interval(point.gap),
    }
