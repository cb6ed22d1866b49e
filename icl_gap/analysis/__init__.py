"""Statistics of finished cells: relative gaps, their intervals, and their fit against scale."""

from icl_gap.analysis.analyze import analyze
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import (
    Accuracies,
    Analysis,
    BandPoint,
    CommonSlope,
    FormFit,
    GapFit,
    GapPoint,
    LeftOut,
    McNemar,
    Needed,
    Note,
    QuerySplit,
    ReasoningGap,
    SlopeWithout,
    Subject,
    Trend,
)
from icl_gap.analysis.scale import SCALES, Scale
from icl_gap.analysis.table import (
    common_table,
    evidence_table,
    fit_table,
    human,
    reasoning_table,
    size_text,
    table,
)
from icl_gap.schema import Metric, ScaleKey

__all__ = [
    "SCALES",
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
    "ReasoningGap",
    "Scale",
    "ScaleKey",
    "SlopeWithout",
    "Subject",
    "Trend",
    "analyze",
    "common_table",
    "evidence_table",
    "fit_table",
    "human",
    "reasoning_table",
    "size_text",
    "table",
]
