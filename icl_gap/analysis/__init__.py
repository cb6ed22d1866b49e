"""Statistics of finished cells: relative gaps, their intervals, and their fit against scale."""

from icl_gap.analysis.analyze import analyze
from icl_gap.analysis.points import (
    Analysis,
    BandPoint,
    Estimate,
    GapFit,
    GapPoint,
    LeftOut,
    Metric,
    Note,
    QuerySplit,
    Subject,
)
from icl_gap.analysis.table import fit_table, human, table

__all__ = [
    "Analysis",
    "BandPoint",
    "Estimate",
    "GapFit",
    "GapPoint",
    "LeftOut",
    "Metric",
    "Note",
    "QuerySplit",
    "Subject",
    "analyze",
    "fit_table",
    "human",
    "table",
]
