"""Tokenizers of models: text to ids as the model reads them, and ids to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.hf.cached_tokenizer import Count, Encode, cached_encoder
from icl_gap.models.hf.folder import read_optional_json
from icl_gap.models.hf.remote_code import library_error
from icl_gap.models.hf.speller import Speller
from icl_gap.models.spec import BosPolicy

if TYPE_CHECKING:
    import tokenizers

_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")
_MORE_TOKENS = (
    "additional_special_tokens",
    "extra_special_tokens",
    "cls_token",
    "sep_token",
    "mask_token",
)
_PROBE = "a"


@dataclass(frozen=True, slots=True)
class Codec:
    """Functions of a tokenizer, whichever library it comes from."""

    encode: Encode
    """Encode a text without special tokens."""
    count: Count
    """Count the ids of a text given in parts."""
    encode_special: Encode
    """Encode a text with the special tokens that the tokenizer adds."""
    decode: Callable[[Sequence[int]], str]
    """Decode ids without special tokens and without clean-up of spaces."""
    decode_with_special: Callable[[Sequence[int]], str]
    """Decode ids with special tokens and without clean-up of spaces."""
    special_texts: Callable[[], frozenset[str]]
    """Return the texts of all special tokens."""
    token_id: Callable[[str], int | None]
    """Return the id of a token; None if there is none."""
    largest_id: Callable[[], int]
    """Return the largest id of the vocabulary, added tokens left out: these come only where a text
    spells them."""


class TextTokenizer:
    """The tokenizer of one model, with its BOS policy.

    Args:
        codec: The library's tokenizer.
        bos: Ids before every prompt.
        eos: Ids that end a response.
    """

    def __init__(self, codec: Codec, bos: tuple[int, ...], eos: frozenset[int]) -> None:
        self.bos = bos
        self.eos = eos
        self._codec = codec
        self._texts: dict[int, str] = {}
        self._speller: Speller | None = None

    def __call__(self, text: str) -> tuple[int, ...]:
        """Encode a text without special tokens, as `encode` does."""
        return self._codec.encode(text)

    def encode(self, text: str) -> tuple[int, ...]:
        """Encode a text without special tokens."""
        return self._codec.encode(text)

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """Encode a prompt: BOS where the policy says so, then the text."""
        return self.bos + self._codec.encode(text)

    def prompt_length(self, *parts: str) -> int:
        """Return the number of tokens of a prompt, whole or in parts, BOS included."""
        return len(self.bos) + self._codec.count(parts)

    def decode(self, ids: Sequence[int]) -> str:
        """Decode ids, leaving special tokens out."""
        return self._codec.decode(ids)

    def decode_with_special(self, ids: Sequence[int]) -> str:
        """Decode ids with special tokens."""
        return self._codec.decode_with_special(ids)

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """Texts of all special tokens."""
        return self._codec.special_texts()

    def can_write(self, text: str) -> bool:
        """Return True if ids without EOS are found that decode to a text.

        White space around the text does not count, as in exact match. The ids are mostly those that
        encode it. A tokenizer that changes texts as it encodes them (`NFC`, lower case) may still
        have others.
        """
        ids = self.encode(text)
        if self.decode(ids).strip() == text.strip() and self.eos.isdisjoint(ids):
            return True
        if self._speller is None:
            tokens = set(range(self._codec.largest_id() + 1)) - self.eos
            self._speller = Speller(
                {token: self.token_text(token) for token in tokens},
                encode=self._codec.encode,
                decode=self._codec.decode,
                token_id=self._codec.token_id,
            )
        found = self._speller.spell(text)
        return found is not None and self.eos.isdisjoint(found)

    def largest_id(self) -> int:
        """Return the largest id of a prompt whose text spells no added token."""
        return max(self._codec.largest_id(), *self.bos, 0)

    def token_text(self, token: int) -> str:
        """Decode one id, with a cache; a part of a character becomes U+FFFD."""
        if token not in self._texts:
            self._texts[token] = self._codec.decode((token,))
        return self._texts[token]


def load_folder_tokenizer(
    folder: Path, *, bos: BosPolicy, trust_remote_code: bool
) -> TextTokenizer:
    """Load the tokenizer of a model's folder, with transformers only if it has no `tokenizer.json`.

    Args:
        folder: The model's folder.
        bos: Policy for BOS before a prompt.
        trust_remote_code: Allow code in the folder to run.

    Raises:
        ModelError: There is no readable tokenizer, or the policy needs a BOS that it lacks.
    """
    settings = {
        **read_optional_json(folder / "special_tokens_map.json"),
        **read_optional_json(folder / "tokenizer_config.json"),
    }
    rust = _read_rust(folder / "tokenizer.json", settings)
    if rust is None:
        codec = _transformers_codec(folder, trust_remote_code=trust_remote_code)
    else:
        codec = rust_codec(rust)
    if not codec.encode(_PROBE):  # transformers makes an empty tokenizer if it finds no files
        raise ModelError("this folder holds no tokenizer", value=str(folder))
    names = ("generation_config.json", "config.json")
    configs = [read_optional_json(folder / name) for name in names]
    prefix = _bos_ids(codec, bos, settings, configs, folder)
    return TextTokenizer(codec, prefix, _eos_ids(codec, settings, configs))


def rust_codec(tokenizer: tokenizers.Tokenizer) -> Codec:
    """Return the codec of a `tokenizers` tokenizer, whose truncation and padding are turned off."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    cached = cached_encoder(tokenizer)
    return Codec(
        encode=cached.encode,
        count=cached.count,
        encode_special=lambda text: tuple(tokenizer.encode(text).ids),
        decode=lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True)),
        decode_with_special=lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=False)),
        special_texts=lambda: frozenset(
            token.content
            for token in tokenizer.get_added_tokens_decoder().values()
            if token.special
        ),
        token_id=tokenizer.token_to_id,
        largest_id=lambda: max(tokenizer.get_vocab(with_added_tokens=False).values(), default=0),
    )


def own_bos(codec: Codec) -> tuple[int, ...]:
    """Return the ids that a tokenizer adds before a text."""
    plain, full = codec.encode(_PROBE), codec.encode_special(_PROBE)
    starts = range(len(full) - len(plain) + 1)
    start = next((n for n in starts if full[n : n + len(plain)] == plain), 0)
    return full[:start]


def read_rust(path: Path) -> tokenizers.Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        ModelError: The file cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more exact
        raise ModelError(f"cannot read the tokenizer: {error}", value=str(path)) from error


def save_rust(tokenizer: tokenizers.Tokenizer, folder: Path, **specials: str) -> None:
    """Write a tokenizer to a folder as `transformers` does.

    Args:
        tokenizer: The tokenizer.
        folder: The folder, which exists.
        **specials: Special tokens by their role, as `eos_token`.
    """
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **specials,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _read_rust(path: Path, settings: Mapping[str, Any]) -> tokenizers.Tokenizer | None:
    """Read a tokenizer and add the special tokens of its settings, as transformers does.

    Returns:
        The tokenizer; None if there is no file, or if the settings change more than the named
        special tokens, so that transformers must read it.
    """
    from tokenizers import AddedToken

    if not path.is_file():
        return None
    tokenizer = read_rust(path)
    more = {content for value in map(settings.get, _MORE_TOKENS) for content in _contents(value)}
    if settings.get("add_prefix_space") or not all(_is_added(tokenizer, token) for token in more):
        return None
    named = filter(None, (_content(settings.get(key)) for key in _NAMED_TOKENS))
    missing = [token for token in dict.fromkeys(named) if not _is_added(tokenizer, token)]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in missing])
    return tokenizer


def _contents(value: object) -> list[str]:
    """Return the texts of a token, of a list of tokens, or of the values of a mapping."""
    match value:
        case list():
            return [text for each in value for text in _contents(each)]
        case dict() if "content" not in value:
            return [text for each in value.values() for text in _contents(each)]
        case _:
            content = _content(value)
            return [] if content is None else [content]


def _is_added(tokenizer: tokenizers.Tokenizer, token: str) -> bool:
    return tokenizer.token_to_id(token) in tokenizer.get_added_tokens_decoder()


def _content(token: object) -> str | None:
    """Return the text of a special token, given as text or as an object with flags."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _transformers_codec(folder: Path, *, trust_remote_code: bool) -> Codec:
    from icl_gap.models.hf.silence import silence_transformers

    with silence_transformers():
        from transformers import AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trust_remote_code
            )
        except Exception as error:  # whatever can be wrong with the files
            raise library_error(error, "cannot load the tokenizer", str(folder)) from error
    if tokenizer.is_fast:
        return rust_codec(tokenizer.backend_tokenizer)
    return Codec(
        encode=lambda text: tuple(tokenizer.encode(text, add_special_tokens=False)),
        count=lambda parts: len(tokenizer.encode("".join(parts), add_special_tokens=False)),
        encode_special=lambda text: tuple(tokenizer.encode(text)),
        decode=partial(_slow_decode, tokenizer, skip_special_tokens=True),
        decode_with_special=partial(_slow_decode, tokenizer, skip_special_tokens=False),
        special_texts=lambda: frozenset(map(str, tokenizer.all_special_tokens)),
        token_id=lambda token: tokenizer.get_vocab().get(token),
        largest_id=lambda: int(tokenizer.vocab_size) - 1,
    )


def _slow_decode(tokenizer: Any, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
    return str(
        tokenizer.decode(
            list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
        )
    )


def _bos_ids(
    codec: Codec,
    policy: BosPolicy,
    settings: Mapping[str, Any],
    configs: Iterable[Mapping[str, Any]],
    folder: Path,
) -> tuple[int, ...]:
    match policy:
        case "never":
            return ()
        case "tokenizer":
            return own_bos(codec)
        case "always":
            token = _content(settings.get("bos_token"))
            ids = [None if token is None else codec.token_id(token)]
            ids += [config.get("bos_token_id") for config in configs]
            found = next((value for value in ids if isinstance(value, int)), None)
            if found is None:
                raise ModelError(
                    "bos: always, but this model has no BOS token",
                    value=str(folder),
                    allowed="bos: tokenizer, or bos: never",
                )
            return (found,)
        case _:
            assert_never(policy)


def _eos_ids(
    codec: Codec, settings: Mapping[str, Any], configs: Iterable[Mapping[str, Any]]
) -> frozenset[int]:
    """Return every EOS that any of the model's files names."""
    token = _content(settings.get("eos_token"))
    found: list[Any] = [None if token is None else codec.token_id(token)]
    for config in configs:
        ids = config.get("eos_token_id")
        found += ids if isinstance(ids, list) else [ids]
    return frozenset(value for value in found if isinstance(value, int))
