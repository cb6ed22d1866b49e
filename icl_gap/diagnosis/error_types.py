"""In what way an answer is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from icl_gap.programs.trees import read_tree
from icl_gap.schema import CanonicalForm
from icl_gap.scoring import MalformedError


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A wrong answer beside the gold one."""

    answer: list[str]
    gold: list[str]
    shown: Collection[str]
    """The exemplars' programs, with single spaces."""
    labels: Counter[str] | None
    """Of the answer's tree; None where it is no program."""
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
"""The first that holds names the answer. `renamed`: right up to a one-to-one renaming of tokens;
`wrong structure`: the right symbols, each as often, in another structure; `missing symbol`: one of
the gold program's occurs nowhere in it."""

NOT_DECODED = "not decoded"
"""Known to be wrong, and no further: without `predictions: full` most answers end there."""
KINDS = (*_RULES, NOT_DECODED)


def kind_of(answer: str | None, gold: str, shown: Collection[str], form: CanonicalForm) -> str:
    """In what way a wrong answer is wrong, one of `KINDS`.

    Args:
        answer: What the model wrote; None where it was not decoded.
        gold: The gold program.
        shown: The programs of the exemplars.
        form: How programs are written.
    """
    if answer is None:
        return NOT_DECODED
    gold_labels = _labels(gold, form)
    wrong = _Wrong(
        answer.split(),
        gold.split(),
        {" ".join(each.split()) for each in shown},
        _labels(answer, form),
        Counter(gold.split()) if gold_labels is None else gold_labels,
    )
    return next(name for name, holds in _RULES.items() if holds(wrong))


def _labels(program: str, form: CanonicalForm) -> Counter[str] | None:
    try:
        return Counter(read_tree(program, form).labels)
    except MalformedError:
        return None


def _is_renamed(answer: list[str], gold: list[str]) -> bool:
    pairs = set(zip(answer, gold, strict=False))
    return len(answer) == len(gold) and len(pairs) == len(set(answer)) == len(set(gold))
