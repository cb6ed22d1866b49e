from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.hf.engine.drafts import MAX_NGRAM, PromptLookup

tokens = st.lists(st.integers(0, 3), max_size=12)


def by_hand(gold: list[int], prompt: list[int], response: list[int], most: int) -> list[int]:
    for length in range(min(MAX_NGRAM, len(response)), 0, -1):
        for source in (gold, prompt + response):
            for start in range(len(source) - length - 1, -1, -1):
                if source[start : start + length] == response[-length:]:
                    return source[start + length :][:most]
    return []


@given(tokens, tokens, tokens, st.integers(1, 5))
def test_drafts_are_what_followed_the_longest_repetition(
    gold: list[int], prompt: list[int], response: list[int], most: int
) -> None:
    assert PromptLookup(gold, prompt).propose(response, most) == by_hand(
        gold, prompt, response, most
    )


def test_the_bytes_of_tokens_do_not_run_into_one_another() -> None:
    # 0x00010000 lies across the joint of these two tokens.
    assert PromptLookup([], [0x01000000, 0x00000001, 7]).propose([0x00010000], 3) == []
    assert PromptLookup([0x0101], [0x01010101, 5]).propose([0x0101], 2) == []


def test_the_gold_answer_comes_first() -> None:
    assert PromptLookup([1, 2, 3], [1, 2, 4]).propose([1, 2], 1) == [3]
    assert PromptLookup([2, 3], [1, 2, 4]).propose([1, 2], 1) == [4]  # a longer repetition
