"""One response, token by token, against reading all of it each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers.convert_slow_tokenizer import bytes_to_unicode

from icl_gap.models.hf.engine.response_state import ResponseState, verify_draft
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec
from icl_gap.models.stopping import check_stop
from icl_gap.schema import Completion, Divergence

VOCABULARY = ("\u2581a", "a", "b", "\u2581b", "\u2581END", "\u2581", "END", "\n", "\n\n", ".\n")


def spaced_tokenizer() -> TextTokenizer:
    """One whose decoder drops the space before the first token, as Llama's does."""
    rust = Tokenizer(
        models.WordLevel({token: n for n, token in enumerate(VOCABULARY)}, unk_token="a")
    )
    rust.decoder = decoders.Metaspace()
    return TextTokenizer(rust_codec(rust), (), frozenset({END}))


END = 99


@given(
    tokens=st.lists(st.integers(0, len(VOCABULARY) - 1), min_size=1, max_size=12),
    stop=st.sampled_from(["\n", "\n\n", " ", "b", " END", ".\n"]),
    bound=st.integers(0, 12),
)
def test_reading_few_tokens_ends_where_reading_all_does(
    tokens: list[int], stop: str, bound: int
) -> None:
    tokenizer = spaced_tokenizer()
    row = ResponseState(tokenizer, "", [], stop=stop, max_new_bytes=bound, max_new_tokens=100)
    for n, token in enumerate(tokens, start=1):
        row.append(token)
        text = tokenizer.decode(tokens[:n])
        assert row.completion == check_stop(text, stop=stop, max_new_bytes=bound)
        if row.completion is not None:
            break


A, B, LINE = VOCABULARY.index("a"), VOCABULARY.index("b"), VOCABULARY.index("\n")


def state_of(gold: str, **changes: int) -> ResponseState:
    settings = {"max_new_bytes": 20, "max_new_tokens": 20, **changes}
    draft = [VOCABULARY.index(letter) for letter in gold if letter != " "]
    return ResponseState(spaced_tokenizer(), gold, draft, stop="\n", **settings)


@pytest.mark.parametrize(
    ("gold", "predicted", "draft", "accepted", "completion", "divergence"),
    [
        ("ab", [A, B, LINE], [A, B], 2, Completion("ab", "stop"), None),
        ("ab", [A, B, END], [A, B], 2, Completion("ab", "eos"), None),
        ("ab", [A, A, LINE], [A, B], 1, None, Divergence(1, "b", "a", "a")),
        ("ab", [B, A, A], [A, B], 0, None, Divergence(0, "a", "b", "")),
        ("ab", [A, LINE, A], [A, B], 1, Completion("a", "stop"), Divergence(1, "b", "\n", "a")),
        ("ab", [END, A, A], [A, B], 0, Completion("", "eos"), Divergence(0, "a", None, "")),
        ("a", [A, B], [A], 1, None, Divergence(1, None, "b", "a")),
        ("", [LINE], [], 0, Completion("", "stop"), None),
    ],
)
def test_where_an_answer_leaves_the_gold_answer(
    gold: str,
    predicted: list[int],
    draft: list[int],
    accepted: int,
    completion: Completion | None,
    divergence: Divergence | None,
) -> None:
    state = state_of(gold)
    assert verify_draft(state, predicted, draft) == accepted
    assert state.completion == completion
    assert state.divergence == divergence


def test_what_is_right_as_far_as_it_goes_and_cut_is_not_right() -> None:
    state = state_of("aab", max_new_tokens=2)
    verify_draft(state, [A, A, A], [A, A])
    assert state.completion == Completion("aa", "length")
    assert state.divergence == Divergence(2, None, None, "aa")


def test_what_the_gold_answer_has_left() -> None:
    state = state_of("ab ab")
    assert state.remaining_gold() == " ab ab"
    state.append(A)
    assert state.remaining_gold() == "b ab"
    state.append(A)
    assert state.remaining_gold() is None


def test_an_end_that_may_be_the_beginning_of_the_stop() -> None:
    state = ResponseState(
        spaced_tokenizer(), "a", [A], stop="bb", max_new_bytes=20, max_new_tokens=20
    )
    for token in (A, B):
        state.append(token)
        assert state.divergence is None
    assert state.candidate_texts == ["ab", "a"]
    state.append(A)
    assert state.divergence == Divergence(2, None, "a", "ab")


def bytes_tokenizer() -> TextTokenizer:
    """One token a byte, from 0 to 255."""
    symbols = bytes_to_unicode()
    rust = Tokenizer(models.BPE({symbols[n]: n for n in range(256)}, []))
    rust.decoder = decoders.ByteLevel()
    return TextTokenizer(rust_codec(rust), (), frozenset())


@pytest.mark.parametrize(
    ("gold", "text", "leaves_at"),
    [
        ("aé", "aé", None),
        ("aé", "aè", 2),  # the first bytes of both are the same
        ("a", "aé", 2),
        ("a", "a\u00a0", None),  # white space, too
        ("a", "\u3000a", None),
        ("ab", "aé", 1),
        ("ab", "a\u3000", 1),
    ],
)
def test_an_incomplete_character_may_still_become_a_whole_one(
    gold: str, text: str, leaves_at: int | None
) -> None:
    state = ResponseState(
        bytes_tokenizer(), gold, [], stop="\n", max_new_bytes=20, max_new_tokens=20
    )
    for byte in text.encode():
        state.append(byte)
    found = None if state.divergence is None else state.divergence.position
    assert found == leaves_at


def test_bytes_that_never_become_a_character_are_no_beginning() -> None:
    state = ResponseState(
        bytes_tokenizer(), "a", [], stop="\n", max_new_bytes=20, max_new_tokens=20
    )
    for _ in range(4):
        state.append(0x80)
    assert state.divergence is not None
