"""Types of errors in wrong answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from icl_gap.programs.language import Language, MalformedError
from icl_gap.schema import AnswerProblem, Record


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A wrong answer beside the gold program."""

    answer: list[str]
    gold: list[str]
    shown: Collection[str]
    """Programs of the exemplars, with single spaces between tokens."""
    labels: Counter[str] | None
    """Node labels of the answer's tree; None if the answer does not parse."""
    gold_labels: Counter[str]


_RULES: Mapping[str, Callable[[_Wrong], bool]] = MappingProxyType(
    {
        "empty": lambda w: not w.answer,
        "stopped early": lambda w: w.gold[: len(w.answer)] == w.answer,
        "ran on": lambda w: w.answer[: len(w.gold)] == w.gold,
        "copied an exemplar": lambda w: " ".join(w.answer) in w.shown,
        "no program": lambda w: w.labels is None,
        "renamed": lambda w: _is_renamed(w.answer, w.gold),
        "wrong structure": lambda w: w.labels == w.gold_labels,
        "missing symbol": lambda w: bool(set(w.gold_labels) - set(w.labels or ())),
        "other": lambda _: True,
    }
)
"""Error types by precedence: the first rule that holds names the error.

- `stopped early`, `ran on`: the answer is a prefix of the gold program, or the reverse.
- `no program`: the answer does not parse.
- `renamed`: right up to a one-to-one renaming of tokens.
- `wrong structure`: the same symbols, each as often, in another structure.
- `missing symbol`: the answer lacks a symbol of the gold program.
"""

NOT_DECODED = "not decoded"
"""Known to be wrong, text unknown: without `predictions: full` most wrong answers are not decoded
further."""
ERROR_TYPES = (*_RULES, NOT_DECODED)


def wrong_text(record: Record) -> str | None:
    """Return the text of a wrong answer; None if it was not decoded to its end.

    A chat response without an answer that counts has its whole text, so that one that ran on past
    the gold program is told from one that stopped early.

    Args:
        record: The record of a wrong answer.
    """
    if record.chat is not None and record.reason in get_args(AnswerProblem):
        return record.chat.text
    return record.prediction


def error_type(
    answer: str | None, gold: str, shown: Collection[str], language: Language[Any]
) -> str:
    """Return the type of a wrong answer's error, one of `ERROR_TYPES`.

    Args:
        answer: Text of the answer; None if it was not decoded.
        gold: The gold program.
        shown: Programs of the exemplars.
        language: Language of the benchmark's targets.
    """
    if answer is None:
        return NOT_DECODED
    gold_labels = _labels(gold, language)
    wrong = _Wrong(
        answer.split(),
        gold.split(),
        {" ".join(each.split()) for each in shown},
        _labels(answer, language),
        Counter(gold.split()) if gold_labels is None else gold_labels,
    )
    return next(name for name, holds in _RULES.items() if holds(wrong))


def _labels(program: str, language: Language[Any]) -> Counter[str] | None:
    """Return how often each label occurs in a program's tree; None if it does not parse."""
    try:
        return Counter(language.tree(program).labels)
    except MalformedError:
        return None


def _is_renamed(answer: list[str], gold: list[str]) -> bool:
    pairs = set(zip(answer, gold, strict=False))
    return len(answer) == len(gold) and len(pairs) == len(set(answer)) == len(set(gold))
