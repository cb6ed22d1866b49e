"""Sequences of tokens between white space, each token standing for itself."""

from __future__ import annotations

from typing import ClassVar

from icl_gap.programs.language import Execution, Language
from icl_gap.programs.trees import Tree, token_row


class TokenSequence(Language[list[str]]):
    """Targets that are answers themselves, such as ListOps' digits; equal up to spacing."""

    name = "tokens"
    execution: ClassVar[Execution] = "normal_form"

    def parse(self, text: str) -> list[str]:
        """Split a text at white space; every text is a sequence."""
        return text.split()

    def differences(self, prediction: list[str], target: list[str]) -> list[str] | None:
        """Return `spacing` for equal sequences of tokens."""
        return ["spacing"] if prediction == target else None

    def can_continue(self, text: str, target: str) -> bool:
        """Return whether the tokens so far begin the target's."""
        return bool(target) and starts_tokens(text, target)

    def tree(self, text: str) -> Tree:
        """Return the tokens as a row below an empty root."""
        return token_row(text)


def starts_tokens(text: str, whole: str) -> bool:
    """Return whether a text can go on to hold the tokens of another, whatever the spacing.

    Args:
        text: The start; its last token is complete only if white space follows.
        whole: The tokens to reach.
    """
    tokens, expected = text.split(), whole.split()
    partial = tokens.pop() if tokens and not text[-1].isspace() else ""
    n_tokens = len(tokens)
    if tokens != expected[:n_tokens]:
        return False
    return not partial or (n_tokens < len(expected) and expected[n_tokens].startswith(partial))


TOKENS = TokenSequence()
