"""Statistics of finished cells: relative gaps, their intervals, and their fit against scale."""

from icl_gap.analysis.analyze import analyze
from icl_gap.analysis.points import (
    Accuracies,
    Analysis,
    BandPoint,
    CommonSlope,
    Estimate,
    FormFit,
    GapFit,
    GapPoint,
    LeftOut,
    McNemar,
    Metric,
    Needed,
    Note,
    QuerySplit,
    SlopeWithout,
    Subject,
    Trend,
)
from icl_gap.analysis.table import common_table, evidence_table, fit_table, human, table

__all__ = [
    "Accuracies",
    "Analysis",
    "BandPoint",
    "CommonSlope",
    "Estimate",
    "FormFit",
    "GapFit",
    "GapPoint",
    "LeftOut",
    "McNemar",
    "Metric",
    "Needed",
    "Note",
    "QuerySplit",
    "SlopeWithout",
    "Subject",
    "Trend",
    "analyze",
    "common_table",
    "evidence_table",
    "fit_table",
    "human",
    "table",
]
