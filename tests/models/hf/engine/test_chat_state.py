"""Tokens of chat responses: reasoning set apart, by tags that are special tokens or plain text."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models

from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf.engine.chat_state import ChatState, read_response_tokens
from icl_gap.models.hf.template_files import end_of_turn
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec
from icl_gap.schema import Completion

WORDS = ("A", "1", "hm", "assistant", "analysis", "final", "<think>", "</think>", "\n")
MARKS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|return|>")
HARMONY = ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>")
THINK = ("<think>", "</think>")


def tokenizer() -> TextTokenizer:
    rust = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="A"))
    rust.decoder = decoders.Fuse()
    rust.add_special_tokens([AddedToken(mark, special=True) for mark in MARKS])
    return TextTokenizer(rust_codec(rust), (), frozenset({rust.token_to_id("<|return|>")}))


def ids(*words: str) -> list[int]:
    return [(*WORDS, *MARKS).index(word) for word in words]


CALLED = "<|channel|> analysis <|message|> hm <|end|> <|start|> assistant"


@pytest.mark.parametrize(
    ("words", "tags", "opened", "expected"),
    [
        ("A 1", None, False, ("A1", None)),
        ("<think> hm </think> A", None, False, ("A", "hm")),
        ("<think> hm </think> \n A", THINK, False, ("A", "hm")),
        ("hm </think> A", THINK, True, ("A", "hm")),
        ("hm", THINK, True, ("", "hm")),
        ("A", THINK, False, ("A", None)),
        (f"{CALLED} <|channel|> final <|message|> A 1", HARMONY, False, ("A1", "hm")),
        ("<|channel|> analysis <|message|> hm", HARMONY, False, ("", "hm")),
        ("<|channel|> final <|message|> A <|end|>", HARMONY, False, ("A", "")),
    ],
)
def test_reasoning_is_set_apart(words, tags, opened, expected) -> None:
    found = read_response_tokens(tokenizer(), ids(*words.split(" ")), tags, opened=opened)
    assert found == expected


@pytest.mark.parametrize(
    ("words", "completion", "reasoning"),
    [
        ("hm </think> A <|return|>", Completion("A", "eos"), "hm"),
        ("hm </think> A A A", Completion("AAA", "length"), "hm"),
        ("hm hm hm hm hm", Completion("", "length"), "hmhmhmhmhm"),
        ("hm <|return|>", Completion("", "eos"), "hm"),
    ],
)
def test_a_response_ends_with_eos_or_at_its_bound(words, completion, reasoning) -> None:
    template = ChatTemplate("", {}, {}, THINK, 3)
    state = ChatState(tokenizer(), template, "Q\n<think>\n", "A", max_new_tokens=5)
    *first, last = ids(*words.split(" "))
    for token in first:
        state.append(token)
        assert state.completion is None
    state.append(last)
    assert (state.completion, state.reasoning) == (completion, reasoning)


@pytest.mark.parametrize(
    ("tags", "ends"), [(None, ["<|end|>"]), (THINK, ["<|end|>"]), (HARMONY, [])]
)
def test_a_token_that_also_ends_thoughts_ends_no_response(tags, ends) -> None:
    text = "{% for m in messages %}<|start|>{{ m.content }}<|end|>{% endfor %}"
    template = ChatTemplate(text, {}, {}, tags, 0)
    assert end_of_turn(template, tokenizer()) == {*ids(*ends)}


def test_what_is_left_of_the_gold_target_is_known_for_as_long_as_it_is_followed() -> None:
    state = ChatState(tokenizer(), ChatTemplate("", {}, {}, None, 0), "Q", "A1", max_new_tokens=5)
    left = [state.remaining_gold()]
    for token in ids("A", "hm"):
        state.append(token)
        left.append(state.remaining_gold())
    assert left == ["A1", "1", None]
