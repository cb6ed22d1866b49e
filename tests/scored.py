"""Scores and prefix checks by the name of a language."""

from __future__ import annotations

from typing import Any

from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Score
from icl_gap.scoring import score_pair


def score(prediction: str, target: str, language: str) -> Score:
    """Raw and canonical match."""
    return LANGUAGES[language].compare(prediction, target)


def executed(prediction: str, target: str, language: str, **options: Any) -> Score:
    """Execution match as well."""
    return score_pair(prediction, target, LANGUAGES[language], **options)


def can_match(text: str, target: str, language: str) -> bool:
    return LANGUAGES[language].can_still_match(text, target)
