"""A model's own tokenizer: text to ids as the model reads them, and ids back to text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.hf.cached_tokenizer import Count, Encode, by_pieces
from icl_gap.models.hf.folder import read_optional_json
from icl_gap.models.hf.remote_code import needs_trust
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
    """A tokenizer library behind a few functions."""

    encode: Encode
    """Text to ids, without special tokens."""
    count: Count
    """The number of ids of a text in parts."""
    encode_special: Encode
    """Text to ids, with the special tokens that the tokenizer puts around it."""
    decode: Callable[[Sequence[int]], str]
    """Ids to text as it is: special tokens left out, no space tidied away."""
    token_id: Callable[[str], int | None]
    largest_id: Callable[[], int]
    """Of the vocabulary. Added tokens do not count: they come only where a text spells them."""


class TextTokenizer:
    """The tokenizer of one model, with its BOS policy.

    Args:
        codec: The library's tokenizer.
        bos: The ids put before every prompt.
        eos: The ids with which the model ends its answer.
    """

    def __init__(self, codec: Codec, bos: tuple[int, ...], eos: frozenset[int]) -> None:
        self.bos = bos
        self.eos = eos
        self._codec = codec
        self._texts: dict[int, str] = {}

    def __call__(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens; the same as `encode`."""
        return self._codec.encode(text)

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens."""
        return self._codec.encode(text)

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """What the model reads for a prompt: BOS where the policy puts it, then the text."""
        return self.bos + self._codec.encode(text)

    def prompt_length(self, *parts: str) -> int:
        """How many tokens the model reads for a prompt, whole or in parts, BOS included."""
        return len(self.bos) + self._codec.count(parts)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids as it is; special tokens are left out."""
        return self._codec.decode(ids)

    def largest_id(self) -> int:
        """The largest id that a prompt can hold, unless its text spells an added token."""
        return max(self._codec.largest_id(), *self.bos, 0)

    def token_text(self, token: int) -> str:
        """The text of one id by itself, remembered; a part of a character is U+FFFD."""
        if token not in self._texts:
            self._texts[token] = self._codec.decode((token,))
        return self._texts[token]


def load_folder_tokenizer(
    folder: Path, *, bos: BosPolicy, trust_remote_code: bool
) -> TextTokenizer:
    """Load the tokenizer of a model's folder: `tokenizer.json` by itself, else by transformers.

    Args:
        folder: The model's folder.
        bos: Whether a prompt starts with BOS.
        trust_remote_code: Whether code in the folder may run.

    Raises:
        ModelError: There is no readable tokenizer, or the policy wants a BOS that it lacks.
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
    if not codec.encode(_PROBE):  # transformers makes an empty tokenizer where it finds no files
        raise ModelError("this folder holds no tokenizer", value=str(folder))
    names = ("generation_config.json", "config.json")
    configs = [read_optional_json(folder / name) for name in names]
    prefix = _bos_ids(codec, bos, settings, configs, folder)
    return TextTokenizer(codec, prefix, _eos_ids(codec, settings, configs))


def rust_codec(tokenizer: tokenizers.Tokenizer) -> Codec:
    """A tokenizer of the `tokenizers` library; truncation and padding are switched off in it."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    pieces = by_pieces(tokenizer)
    return Codec(
        encode=pieces.encode,
        count=pieces.count,
        encode_special=lambda text: tuple(tokenizer.encode(text).ids),
        decode=lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True)),
        token_id=tokenizer.token_to_id,
        largest_id=lambda: max(tokenizer.get_vocab(with_added_tokens=False).values(), default=0),
    )


def own_bos(codec: Codec) -> tuple[int, ...]:
    """The ids that a tokenizer puts before a text by itself."""
    plain, full = codec.encode(_PROBE), codec.encode_special(_PROBE)
    starts = range(len(full) - len(plain) + 1)
    start = next((n for n in starts if full[n : n + len(plain)] == plain), 0)
    return full[:start]


def read_rust(path: Path) -> tokenizers.Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        ModelError: It cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more exact
        raise ModelError(f"cannot read the tokenizer: {error}", value=str(path)) from error


def save_rust(tokenizer: tokenizers.Tokenizer, folder: Path, **specials: str) -> None:
    """Write a tokenizer as `transformers` would.

    Args:
        tokenizer: What goes into `tokenizer.json`.
        folder: Where to.
        **specials: What is which special token, e.g. `eos_token`.
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
    """The tokenizer as transformers makes it of its file: its settings name special tokens.

    Returns:
        None where there is no file, or the settings change more than the named tokens: then
        transformers must read it.
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
    """The texts of a token, a list of tokens or a mapping to tokens."""
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
    """A special token's text: settings hold it bare, or in an object with its flags."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _transformers_codec(folder: Path, *, trust_remote_code: bool) -> Codec:
    from icl_gap.models.hf.silence import quiet_transformers

    with quiet_transformers():
        from transformers import AutoTokenizer

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trust_remote_code
            )
        except Exception as error:  # whatever a tokenizer's files can do wrong
            if "trust_remote_code" in str(error):
                raise needs_trust(str(folder)) from error
            raise ModelError(
                f"cannot load the tokenizer: {_first_line(error)}", value=str(folder)
            ) from error
    if tokenizer.is_fast:
        return rust_codec(tokenizer.backend_tokenizer)
    return Codec(
        encode=lambda text: tuple(tokenizer.encode(text, add_special_tokens=False)),
        count=lambda parts: len(tokenizer.encode("".join(parts), add_special_tokens=False)),
        encode_special=lambda text: tuple(tokenizer.encode(text)),
        decode=lambda ids: str(
            tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        ),
        token_id=lambda token: tokenizer.get_vocab().get(token),
        largest_id=lambda: int(tokenizer.vocab_size) - 1,
    )


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
    """Every EOS that any of the model's files names."""
    token = _content(settings.get("eos_token"))
    found: list[Any] = [None if token is None else codec.token_id(token)]
    for config in configs:
        ids = config.get("eos_token_id")
        found += ids if isinstance(ids, list) else [ids]
    return frozenset(value for value in found if isinstance(value, int))
