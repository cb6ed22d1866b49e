"""Tokenizers of models: text to ids as the model reads them, and ids to text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.hf.cached_tokenizer import Count, Encode, cached_encoder
from icl_gap.models.hf.folder import read_optional_json
from icl_gap.models.hf.remote_code import library_error
from icl_gap.models.hf.rust_files import read_folder_rust, token_content
from icl_gap.models.hf.speller import Speller
from icl_gap.models.spec import BosPolicy

if TYPE_CHECKING:
    import tokenizers

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
    rust = read_folder_rust(folder / "tokenizer.json", settings)
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
            token = token_content(settings.get("bos_token"))
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
    token = token_content(settings.get("eos_token"))
    found: list[Any] = [None if token is None else codec.token_id(token)]
    for config in configs:
        ids = config.get("eos_token_id")
        found += ids if isinstance(ids, list) else [ids]
    return frozenset(value for value in found if isinstance(value, int))
