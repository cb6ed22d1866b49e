"""Exact match of a predicted program with its target: by string, and by meaning."""

from __future__ import annotations

from icl_gap.scoring.exact import score, score_batch
from icl_gap.scoring.files import Prediction, Summary, read_predictions, summarize

__all__ = [
    "Prediction",
    "Summary",
    "read_predictions",
    "score",
    "score_batch",
    "summarize",
]
