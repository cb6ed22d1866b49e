"""The start of a list of words."""

from __future__ import annotations


def starts_words(text: str, whole: str) -> bool:
    """Whether a text can go on to hold the same words as another, whatever the spaces.

    Args:
        text: The start; its last word is whole only if white space follows.
        whole: The words to reach.
    """
    words, expected = text.split(), whole.split()
    partial = words.pop() if words and not text[-1].isspace() else ""
    n_words = len(words)
    if words != expected[:n_words]:
        return False
    return not partial or (n_words < len(expected) and expected[n_words].startswith(partial))
