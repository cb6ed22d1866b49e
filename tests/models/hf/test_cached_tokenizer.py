from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, trainers
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, PreTokenizer, Sequence, Split

from icl_gap.models.hf import cached_tokenizer

# Whatever made the merges, they may cross spaces: these texts are full of them.
TEXTS = (
    "a . ( b ) , ( a . ( b ) ) . . ( ( x ) ) , a b c a b c . ( y's 12 'll . )",
    "SELECT count ( * ) WHERE { ?x0 a . b M0 . ?x0 c . d M1 }\n\nQ: a  b\tc \n d . ( e",
    "m0 , ( . , ) ( . ) ( . ) . . . ! ? a' b's c. d, (e) | f|g [h] é . 。 ، x",
)
BLOOM_PATTERN = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"


def bloom_words() -> PreTokenizer:
    split = Split(Regex(BLOOM_PATTERN), "isolated", invert=False)
    return Sequence([split, ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2_words() -> PreTokenizer:
    return ByteLevel(add_prefix_space=False)


def trained(words: PreTokenizer, added: tuple[AddedToken, ...] = ()) -> Tokenizer:
    """A small BPE with many merges over the texts above, spaces between punctuation included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = words
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_tokens(list(added))
    return tokenizer


RUNS = (AddedToken("  "), AddedToken("   "), AddedToken("<end>", special=True))
TOKENIZERS = {
    "gpt2 words": trained(gpt2_words()),
    "gpt2 words, added runs of spaces": trained(gpt2_words(), RUNS),
    "bloom words": trained(bloom_words()),
    "bloom words, added runs of spaces": trained(bloom_words(), RUNS),
    "added token with a space": trained(gpt2_words(), (AddedToken("a b c"),)),
    "added token that takes spaces": trained(gpt2_words(), (AddedToken("<m>", lstrip=True),)),
    "sentencepiece words": trained(Metaspace()),
}
TEXT = st.text(
    st.sampled_from("ab xy. ,(){}|'s1\n\t\u00a0é?<>") | st.characters(codec="utf-8"), max_size=30
)
WORDS = st.lists(
    st.sampled_from(["a", "b", ".", "(", ")", ",", "x", "'s", "1", "<end>", "<m>", "", "\n", "c."]),
    max_size=12,
).map(" ".join)


def plain(tokenizer: Tokenizer) -> Callable[[str], tuple[int, ...]]:
    return lambda text: tuple(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150)
@given(text=TEXT | WORDS)
def test_equals_encoding_whole(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    assert cached_tokenizer.cached_encoder(tokenizer).encode(text) == plain(tokenizer)(text)


@settings(max_examples=300)
@given(text=TEXT | WORDS)
def test_equals_encoding_whole_on_gpt2(gpt2: Tokenizer, text: str) -> None:
    assert cached_tokenizer.cached_encoder(gpt2).encode(text) == plain(gpt2)(text)


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150)
@given(parts=st.lists(TEXT | WORDS | (TEXT | WORDS).map(" ".__add__), min_size=1, max_size=4))
def test_parts_are_counted_as_the_whole(name: str, parts: list[str]) -> None:
    tokenizer = TOKENIZERS[name]
    count = cached_tokenizer.cached_encoder(tokenizer).count
    assert count(parts) == count(parts) == len(plain(tokenizer)("".join(parts)))


def test_bloom_words_do_cross_spaces() -> None:
    # Otherwise the tests above would not test what they are for.
    tokenizer = TOKENIZERS["bloom words"]
    whole = plain(tokenizer)
    assert whole("a . ( b") != whole("a") + whole(" .") + whole(" (") + whole(" b")


@pytest.mark.parametrize("words", ["gpt2", "bloom"])
def test_equals_encoding_whole_on_cfq(gpt2: Tokenizer, cfq_targets: list[str], words: str) -> None:
    tokenizer = Tokenizer.from_str(gpt2.to_str())
    tokenizer.pre_tokenizer = gpt2_words() if words == "gpt2" else bloom_words()
    encode, whole = cached_tokenizer.cached_encoder(tokenizer).encode, plain(tokenizer)
    for target in cfq_targets[::40]:
        assert encode(target) == whole(target)


def counting(tokenizer: Tokenizer) -> tuple[Callable[[str], tuple[int, ...]], list[str]]:
    seen: list[str] = []
    whole = plain(tokenizer)

    def encode(text: str) -> tuple[int, ...]:
        seen.append(text)
        return whole(text)

    return cached_tokenizer._cache_chunks(encode, ()).encode, seen


def test_a_known_pair_is_not_encoded_again() -> None:
    encode, seen = counting(TOKENIZERS["gpt2 words"])
    encode("x y x y x")
    before = len(seen)
    assert encode("x y x y x y x") == plain(TOKENIZERS["gpt2 words"])("x y x y x y x")
    assert len(seen) == before


def supported(tokenizer: Tokenizer) -> bool:
    added = tokenizer.get_added_tokens_decoder().values()
    return (
        cached_tokenizer._is_plain_bpe(tokenizer)
        and cached_tokenizer._has_known_pretokenizer(tokenizer)
        and cached_tokenizer._fit_chunks(added)
    )


def test_what_the_proof_covers() -> None:
    covered = {name for name, tokenizer in TOKENIZERS.items() if supported(tokenizer)}
    assert covered == {
        "gpt2 words",
        "gpt2 words, added runs of spaces",
        "bloom words",
        "bloom words, added runs of spaces",
    }


def test_what_the_proof_does_not_cover() -> None:
    normalized = trained(gpt2_words())
    normalized.normalizer = normalizers.Prepend("x")
    dropping = trained(gpt2_words())
    dropping.model.dropout = 0.5
    prefixed = trained(ByteLevel(add_prefix_space=True))
    few_bytes = Tokenizer(models.BPE({"a": 0}, []))
    few_bytes.pre_tokenizer = gpt2_words()
    no_words = trained(gpt2_words())
    no_words.pre_tokenizer = None
    for tokenizer in (normalized, dropping, prefixed, few_bytes, no_words):
        assert not supported(tokenizer)
