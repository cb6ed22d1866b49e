from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from icl_gap.models import RandomInitSpec, identify, load_tokenizer
from icl_gap.models.hf.speller import Speller
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec

UNKNOWN, END = "<unk>", "</s>"


def text_tokenizer(rust: Tokenizer) -> TextTokenizer:
    rust.add_special_tokens([UNKNOWN, END])
    return TextTokenizer(rust_codec(rust), (), frozenset({rust.token_to_id(END)}))


def word_level(*words: str) -> TextTokenizer:
    """One token a word with the space before it, as the nano models have."""
    vocabulary = {word: n for n, word in enumerate((UNKNOWN, *words))}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    rust.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n| ?[^\s]+| "), "isolated")
    rust.decoder = decoders.Fuse()
    return text_tokenizer(rust)


def byte_level(normalizer: normalizers.Normalizer | None = None) -> TextTokenizer:
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    rust = Tokenizer(models.BPE({symbol: n for n, symbol in enumerate(symbols)}, []))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    if normalizer is not None:
        rust.normalizer = normalizer
    return text_tokenizer(rust)


def sentence_piece(*pieces: str, byte_fallback: bool) -> TextTokenizer:
    """A tokenizer of Llama's make: a space is a piece's own, other bytes have tokens if wanted."""
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
    vocabulary = {piece: n for n, piece in enumerate((UNKNOWN, *fallback, *pieces))}
    rust = Tokenizer(models.BPE(vocabulary, [], unk_token=UNKNOWN, byte_fallback=byte_fallback))
    rust.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    rust.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return text_tokenizer(rust)


def word_piece() -> TextTokenizer:
    """A tokenizer of BERT's make: lower case, and spaces between words and signs."""
    vocabulary = {word: n for n, word in enumerate((UNKNOWN, "walk", "##s", "(", ")", "m", "##0"))}
    rust = Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    rust.normalizer = normalizers.BertNormalizer(lowercase=True)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.decoder = decoders.WordPiece()
    return text_tokenizer(rust)


BYTES = (byte_level(), sentence_piece("\u2581", "a", byte_fallback=True))


@given(st.text())
@example(" I_WALK I_TURN_LEFT")
@example("e\N{COMBINING ACUTE ACCENT} \N{LATIN SMALL LIGATURE FI}")
def test_bytes_write_every_text(text: str) -> None:
    assert all(tokenizer.can_write(text) for tokenizer in BYTES)


@pytest.mark.parametrize(
    "normalizer", [normalizers.NFC(), normalizers.NFKC(), normalizers.Lowercase()]
)
@pytest.mark.parametrize(
    "text", [" Walk M0", "e\N{COMBINING ACUTE ACCENT}", "\N{LATIN SMALL LIGATURE FI}x"]
)
def test_bytes_write_what_a_normalizer_changes(
    normalizer: normalizers.Normalizer, text: str
) -> None:
    tokenizer = byte_level(normalizer)
    assert tokenizer.can_write(text)


def test_gpt2_writes_every_text(gpt2_folder: Path) -> None:
    spec = RandomInitSpec(tokenizer=gpt2_folder)
    tokenizer = load_tokenizer(spec, identify(spec))
    assert tokenizer is not None
    for text in ("SELECT count(*) WHERE { ?x0 a ns:b.c }", "\N{SNOWMAN} \t\n x", "<|endoftext|>"):
        assert tokenizer.can_write(text)


def test_a_word_without_a_token_cannot_be_written() -> None:
    tokenizer = word_level(" walk", " left", " (")
    assert tokenizer.can_write("walk left")
    assert tokenizer.can_write(" walk ( left")
    assert not tokenizer.can_write("walk right")
    assert not tokenizer.can_write("walk  left")
    assert not tokenizer.can_write("walk(left")


def test_a_character_without_a_piece_cannot_be_written() -> None:
    pieces = ("\u2581", "a", "b", "\u2581a")
    assert sentence_piece(*pieces, byte_fallback=False).can_write("a b ab")
    assert not sentence_piece(*pieces, byte_fallback=False).can_write("a c")
    assert sentence_piece(*pieces, byte_fallback=True).can_write("a c")


def test_lower_case_and_spaces_that_are_put_in_cannot_be_undone() -> None:
    assert word_piece().can_write("walks ( m0 )")
    assert not word_piece().can_write("Walks ( m0 )")
    assert not word_piece().can_write("walks(m0)")


def test_the_end_of_a_response_is_no_text() -> None:
    assert not word_level(" walk").can_write(f" walk {END}")


@given(
    st.sets(st.text("ab ", min_size=1, max_size=3), min_size=1, max_size=3),
    st.text("ab ", max_size=4),
)
def test_finds_a_spelling_where_there_is_one(pieces: set[str], text: str) -> None:
    texts = dict(enumerate(sorted(pieces)))

    def decode(ids: tuple[int, ...]) -> str:
        return "".join(texts[token] for token in ids)

    speller = Speller(texts, encode=lambda _: (), decode=decode, token_id=lambda _: None)
    every = (ids for n in range(len(text) + 1) for ids in product(texts, repeat=n))
    can = any(decode(ids).strip() == text.strip() for ids in every)
    found = speller.spell(text)
    assert (found is not None) == can
    assert found is None or decode(found).strip() == text.strip()
