"""Exact match of a predicted program with its target: by string, by form, by what it does."""

from __future__ import annotations

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.meaning import Alike, alike
from icl_gap.programs.prefix import can_match
from icl_gap.programs.trees import Structures
from icl_gap.scoring.exact import score, score_batch
from icl_gap.scoring.predictions import Prediction, Summary, read_predictions, summarize

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
