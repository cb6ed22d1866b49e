"""Why there is a gap: what exemplars cover, and how answers are wrong.

measures.py     a request: what of its query its exemplars hold
divergence.py   a pool and a set of queries: how far apart their atoms and compounds lie
kinds.py        a wrong answer: in what way
explained.py    pairs of requests: the gap at equal coverage, and what coverage explains of it
study.py        all that of a results folder
"""

from __future__ import annotations

from icl_gap.diagnosis.coverage import MEASURES, Measures, Ruler
from icl_gap.diagnosis.decomposition import FACTORS, Explained, Pairs, explain
from icl_gap.diagnosis.diagnose import Audit, audit
from icl_gap.diagnosis.error_types import KINDS, kind_of
from icl_gap.programs.divergence import atom_divergence, compound_divergence

__all__ = [
    "FACTORS",
    "KINDS",
    "MEASURES",
    "Audit",
    "Explained",
    "Measures",
    "Pairs",
    "Ruler",
    "atom_divergence",
    "audit",
    "compound_divergence",
    "explain",
    "kind_of",
]
