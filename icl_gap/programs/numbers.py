"""Final numbers of worked solutions: the one after the last `####`, else the last in the text."""

from __future__ import annotations

import re
from fractions import Fraction

from icl_gap.programs.language import Language, MalformedError
from icl_gap.programs.trees import Tree, token_row
from icl_gap.schema import ANSWER_MARK

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?", re.ASCII)


class FinalNumber(Language[Fraction]):
    """Solutions that are equal if their final numbers are."""

    name = "number"
    execution = "normal_form"

    def parse(self, text: str) -> Fraction:
        """Read the final number; `$`, commas between thousands and units do not count.

        Raises:
            MalformedError: The text has no number.
        """
        _, mark, answer = text.rpartition(ANSWER_MARK)
        found = _NUMBER.findall(answer)
        if not found:
            raise MalformedError("no number")
        return Fraction((found[0] if mark else found[-1]).replace(",", ""))

    def differences(self, prediction: Fraction, target: Fraction) -> list[str] | None:
        """Return `wording` for equal numbers."""
        return ["wording"] if prediction == target else None

    def can_continue(self, text: str, target: str) -> bool:
        """Return True for every text: `#### 72` may follow it."""
        del text
        try:
            self.parse(target)
        except MalformedError:
            return False
        return True

    def tree(self, text: str) -> Tree:
        """Return the tokens of the solution as a row; any text has one."""
        return token_row(text)


NUMBER = FinalNumber()
