"""One answer, token by token, against reading all of it each time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers.convert_slow_tokenizer import bytes_to_unicode

from icl_gap.models.ending import ended
from icl_gap.models.hf.engine.response_state import Reply, follow
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec
from icl_gap.schema import Completion, Divergence

PIECES = ("\u2581a", "a", "b", "\u2581b", "\u2581END", "\u2581", "END", "\n", "\n\n", ".\n")


def spaced_tokenizer() -> TextTokenizer:
    """One whose decoder drops the space before the first token, as Llama's does."""
    rust = Tokenizer(models.WordLevel({piece: n for n, piece in enumerate(PIECES)}, unk_token="a"))
    rust.decoder = decoders.Metaspace()
    return TextTokenizer(rust_codec(rust), (), frozenset({END}))


END = 99


@given(
    tokens=st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=12),
    stop=st.sampled_from(["\n", "\n\n", " ", "b", " END", ".\n"]),
    bound=st.integers(0, 12),
)
def test_reading_few_tokens_ends_where_reading_all_does(
    tokens: list[int], stop: str, bound: int
) -> None:
    tokenizer = spaced_tokenizer()
    row = Reply(tokenizer, "", [], stop=stop, max_new_bytes=bound, room=100)
    for n, token in enumerate(tokens, start=1):
        row.take(token)
        text = tokenizer.decode(tokens[:n])
        assert row.completion == ended(text, stop=stop, max_new_bytes=bound)
        if row.completion is not None:
            break


A, B, LINE = PIECES.index("a"), PIECES.index("b"), PIECES.index("\n")


def reply(gold: str, **changes: int) -> Reply:
    settings = {"max_new_bytes": 20, "room": 20, **changes}
    draft = [PIECES.index(letter) for letter in gold if letter != " "]
    return Reply(spaced_tokenizer(), gold, draft, stop="\n", **settings)


@pytest.mark.parametrize(
    ("gold", "best", "draft", "held", "completion", "divergence"),
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
    best: list[int],
    draft: list[int],
    held: int,
    completion: Completion | None,
    divergence: Divergence | None,
) -> None:
    answer = reply(gold)
    assert follow(answer, best, draft) == held
    assert answer.completion == completion
    assert answer.divergence == divergence


def test_what_is_right_as_far_as_it_goes_and_cut_is_not_right() -> None:
    answer = reply("aab", room=2)
    follow(answer, [A, A, A], [A, A])
    assert answer.completion == Completion("aa", "length")
    assert answer.divergence == Divergence(2, None, None, "aa")


def test_what_the_gold_answer_has_left() -> None:
    answer = reply("ab ab")
    assert answer.rest_of_gold() == " ab ab"
    answer.take(A)
    assert answer.rest_of_gold() == "b ab"
    answer.take(A)
    assert answer.rest_of_gold() is None


def test_an_end_that_may_be_the_beginning_of_the_stop() -> None:
    answer = Reply(spaced_tokenizer(), "a", [A], stop="bb", max_new_bytes=20, room=20)
    for token in (A, B):
        answer.take(token)
        assert answer.divergence is None
    assert answer.readings == ["ab", "a"]
    answer.take(A)
    assert answer.divergence == Divergence(2, None, "a", "ab")


def bytes_tokenizer() -> TextTokenizer:
    """One token a byte, from 0 to 255."""
    symbols = bytes_to_unicode()
    rust = Tokenizer(models.BPE({symbols[n]: n for n in range(256)}, []))
    rust.decoder = decoders.ByteLevel()
    return TextTokenizer(rust_codec(rust), (), frozenset())


@pytest.mark.parametrize(
    ("gold", "said", "leaves_at"),
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
def test_half_a_character_may_still_become_a_whole_one(
    gold: str, said: str, leaves_at: int | None
) -> None:
    answer = Reply(bytes_tokenizer(), gold, [], stop="\n", max_new_bytes=20, room=20)
    for byte in said.encode():
        answer.take(byte)
    found = None if answer.divergence is None else answer.divergence.position
    assert found == leaves_at


def test_bytes_that_never_become_a_character_are_no_beginning() -> None:
    answer = Reply(bytes_tokenizer(), "a", [], stop="\n", max_new_bytes=20, room=20)
    for _ in range(4):
        answer.take(0x80)
    assert answer.divergence is not None
