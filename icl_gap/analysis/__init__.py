"""Statistics of finished cells: relative gaps, their intervals, and their fit against scale."""

from icl_gap.analysis.analyze import analyze
from icl_gap.analysis.points import (
    Accuracies,
    Analysis,
    BandPoint,
    Estimate,
    GapFit,
    GapPoint,
    LeftOut,
    McNemar,
    Metric,
    Note,
    QuerySplit,
    Subject,
)
from icl_gap.analysis.table import evidence_table, fit_table, human, table

__all__ = [
    "Accuracies",
    "Analysis",
    "BandPoint",
    "Estimate",
    "GapFit",
    "GapPoint",
    "LeftOut",
    "McNemar",
    "Metric",
    "Note",
    "QuerySplit",
    "Subject",
    "analyze",
    "evidence_table",
    "fit_table",
    "human",
    "table",
]
