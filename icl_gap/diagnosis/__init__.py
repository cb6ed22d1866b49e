"""Why there is a gap: how exemplars cover their queries, and how wrong answers are wrong.

coverage.py       a request: how much of its query the exemplars hold
decomposition.py  pairs of requests: the gap at equal coverage, and the part that coverage explains
explanation.py    that part, from differences within queries
conditional_logit.py, mixed_logit.py  its two regressions
error_types.py    a wrong answer: the type of its error
diagnose.py       all of these, for a results folder

The divergence between a pool and its queries stands in `icl_gap.programs.divergence`.
"""

from __future__ import annotations

from icl_gap.diagnosis.coverage import MEASURES, CoverageMeasures, CoverageMeter
from icl_gap.diagnosis.decomposition import FACTORS, GapDecomposition, RequestPairs, decompose_gap
from icl_gap.diagnosis.diagnose import COLUMNS, Diagnosis, RequestGroup, diagnose
from icl_gap.diagnosis.error_types import ERROR_TYPES, error_type
from icl_gap.diagnosis.explanation import Explanation, e_value, explain
from icl_gap.programs.divergence import atom_divergence, compound_divergence

__all__ = [
    "COLUMNS",
    "ERROR_TYPES",
    "FACTORS",
    "MEASURES",
    "CoverageMeasures",
    "CoverageMeter",
    "Diagnosis",
    "Explanation",
    "GapDecomposition",
    "RequestGroup",
    "RequestPairs",
    "atom_divergence",
    "compound_divergence",
    "decompose_gap",
    "diagnose",
    "e_value",
    "error_type",
    "explain",
]
