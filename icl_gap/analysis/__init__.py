"""Statistics of finished cells: relative gaps, their intervals, and fits against scale.

`README.md` beside this file lists every estimator with its formula, source and calibration.

pairing.py, outcomes.py     results as arrays; ID and OOD requests paired by query
gaps.py, bootstrap.py       the gap and its intervals
evidence.py                 further intervals, tests and bounds; the smooth gap
fit.py, forms.py, comparison.py, scale.py   the gap against scale
composition.py              the reasoning gap of composed questions
table.py                    all of it as rows of text
"""

from icl_gap.analysis.analyze import Analysis, Note, analyze
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import (
    Accuracies,
    GapPoint,
    McNemar,
    QuerySplit,
    ReasoningGap,
    Setting,
)
from icl_gap.analysis.scale import SCALES, Scale
from icl_gap.analysis.slopes import (
    BandPoint,
    CommonSlope,
    FormFit,
    GapFit,
    LeaveOneOutSlope,
    LeftOut,
    SampleSize,
    Slope,
    Trend,
)
from icl_gap.analysis.table import (
    common_table,
    evidence_table,
    fit_table,
    format_count,
    gap_table,
    reasoning_table,
    size_text,
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
    "LeaveOneOutSlope",
    "LeftOut",
    "McNemar",
    "Metric",
    "Note",
    "QuerySplit",
    "ReasoningGap",
    "SampleSize",
    "Scale",
    "ScaleKey",
    "Setting",
    "Slope",
    "Trend",
    "analyze",
    "common_table",
    "evidence_table",
    "fit_table",
    "format_count",
    "gap_table",
    "reasoning_table",
    "size_text",
]
