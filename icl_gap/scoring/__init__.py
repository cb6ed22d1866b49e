"""Exact match of a predicted program with its target: by string, by form, by what it does."""

from __future__ import annotations

from icl_gap.scoring.exact import score, score_batch
from icl_gap.scoring.faults import MalformedError
from icl_gap.scoring.files import Prediction, Summary, read_predictions, summarize
from icl_gap.scoring.meaning import Alike, alike
from icl_gap.scoring.prefix import can_match
from icl_gap.scoring.trees import Structures

__all__ = [
    "Alike",
    "MalformedError",
    "Prediction",
    "Structures",
    "Summary",
    "alike",
    "can_match",
    "read_predictions",
    "score",
    "score_batch",
    "summarize",
]
