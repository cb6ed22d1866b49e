"""The number that an answer comes to: the one after its last `####`, else the last one in it."""

from __future__ import annotations

import re
from fractions import Fraction

from icl_gap.programs.faults import MalformedError
from icl_gap.schema import ANSWER_MARK

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?", re.ASCII)


def parse(text: str) -> Fraction:
    """Read the final number of an answer; `$`, commas between thousands and units do not count.

    Raises:
        MalformedError: There is none.
    """
    _, mark, tail = text.rpartition(ANSWER_MARK)
    found = _NUMBER.findall(tail)
    if not found:
        raise MalformedError("no number")
    return Fraction((found[0] if mark else found[-1]).replace(",", ""))


def differences(prediction: Fraction, target: Fraction) -> list[str] | None:
    """What sets two answers apart that are different texts; None where the numbers differ."""
    return ["wording"] if prediction == target else None
