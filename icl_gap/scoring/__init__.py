"""Exact match of predictions with their targets: one pair, a batch, a file."""

from __future__ import annotations

from icl_gap.scoring.by_dataset import exact_match, exact_match_batch, score_predictions
from icl_gap.scoring.exact import score_batch, score_pair
from icl_gap.scoring.predictions import Prediction, Summary, read_predictions, summarize

__all__ = [
    "Prediction",
    "Summary",
    "exact_match",
    "exact_match_batch",
    "read_predictions",
    "score_batch",
    "score_pair",
    "score_predictions",
    "summarize",
]
