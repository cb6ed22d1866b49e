"""Statistics of finished cells: relative gaps, their intervals, and fits against scale.

`README.md` beside this file lists every estimator with its formula, source and calibration.

pairing.py, outcomes.py     results as arrays; ID and OOD requests paired by query
gaps.py, bootstrap.py       the gap and its intervals
resolution.py, small_counts.py   the rule by which a gap is resolved; exact bounds
sides.py, contrasts.py      flags of pooled gaps; differences of sides, models, shots, selections
sign_flips.py, multiplicity.py   the test of each gap; adjusted p-values, simultaneous intervals
seed_variance.py, clusters.py    the part of seeds in the variance; clusters of queries
evidence.py                 further intervals and bounds; the smooth gap
scaling/                    the gap against scale: fits, tests of a trend, verdicts
bayes/                      the hierarchical check
conclusion.py               the answer in sentences
power.py                    the power of a planned study
matched.py                  the gap that remains under `ood_matched`
composition.py              the reasoning gap of composed questions
table.py                    all of it as rows of text
gap_frame.py, latex_table.py, analysis_html.py   gaps as a frame, as LaTeX, for a notebook
"""

from icl_gap.analysis.analyze import CONFIDENCE, RESAMPLES, Analysis, Note, analyze
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.latex_table import latex_tables
from icl_gap.analysis.points import (
    Accuracies,
    GapDifference,
    GapPoint,
    MatchedContrast,
    QuerySplit,
    ReasoningGap,
    Setting,
    SideContrast,
    SignFlipTest,
)
from icl_gap.analysis.scaling.line_posterior import LinePosterior
from icl_gap.analysis.scaling.scale import SCALES, Scale
from icl_gap.analysis.scaling.slopes import (
    MARGIN,
    BandPoint,
    ClassicalSlope,
    Closed,
    CommonSlope,
    FitSettings,
    FormFit,
    GapFit,
    LackOfFit,
    LeaveOneOutSlope,
    LeftOut,
    PredictedGap,
    PriorSensitivity,
    Slope,
    Trend,
    Verdict,
)
from icl_gap.analysis.table import (
    common_table,
    comparison_table,
    estimator_table,
    evidence_table,
    fit_table,
    format_count,
    gap_table,
    reasoning_table,
    side_table,
    size_text,
)
from icl_gap.schema import Metric, ScaleKey

__all__ = [
    "CONFIDENCE",
    "MARGIN",
    "RESAMPLES",
    "SCALES",
    "Accuracies",
    "Analysis",
    "BandPoint",
    "ClassicalSlope",
    "Closed",
    "CommonSlope",
    "Estimate",
    "FitSettings",
    "FormFit",
    "GapDifference",
    "GapFit",
    "GapPoint",
    "LackOfFit",
    "LeaveOneOutSlope",
    "LeftOut",
    "LinePosterior",
    "MatchedContrast",
    "Metric",
    "Note",
    "PredictedGap",
    "PriorSensitivity",
    "QuerySplit",
    "ReasoningGap",
    "Scale",
    "ScaleKey",
    "Setting",
    "SideContrast",
    "SignFlipTest",
    "Slope",
    "Trend",
    "Verdict",
    "analyze",
    "common_table",
    "comparison_table",
    "estimator_table",
    "evidence_table",
    "fit_table",
    "format_count",
    "gap_table",
    "latex_tables",
    "reasoning_table",
    "side_table",
    "size_text",
]
