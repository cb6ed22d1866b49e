from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.hf.engine.drafts import LONGEST, Lookup

tokens = st.lists(st.integers(0, 3), max_size=12)


def by_hand(gold: list[int], prompt: list[int], said: list[int], most: int) -> list[int]:
    for length in range(min(LONGEST, len(said)), 0, -1):
        for source in (gold, prompt + said):
            for start in range(len(source) - length - 1, -1, -1):
                if source[start : start + length] == said[-length:]:
                    return source[start + length :][:most]
    return []


@given(tokens, tokens, tokens, st.integers(1, 5))
def test_guesses_are_what_followed_the_longest_repetition(
    gold: list[int], prompt: list[int], said: list[int], most: int
) -> None:
    assert Lookup(gold, prompt).guess(said, most) == by_hand(gold, prompt, said, most)


def test_the_bytes_of_tokens_do_not_run_into_one_another() -> None:
    # 0x00010000 lies across the joint of these two tokens.
    assert Lookup([], [0x01000000, 0x00000001, 7]).guess([0x00010000], 3) == []
    assert Lookup([0x0101], [0x01010101, 5]).guess([0x0101], 2) == []


def test_the_gold_answer_comes_first() -> None:
    assert Lookup([1, 2, 3], [1, 2, 4]).guess([1, 2], 1) == [3]
    assert Lookup([2, 3], [1, 2, 4]).guess([1, 2], 1) == [4]  # a longer repetition
