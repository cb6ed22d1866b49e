"""Files of tokenizers of the `tokenizers` library, as `transformers` reads and writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_gap.errors import ModelError

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


def read_folder_rust(path: Path, settings: Mapping[str, Any]) -> tokenizers.Tokenizer | None:
    """Read a tokenizer and add the special tokens of its settings, as transformers does.

    Args:
        path: The `tokenizer.json`.
        settings: The contents of `tokenizer_config.json` and `special_tokens_map.json`.

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
    named = filter(None, (token_content(settings.get(key)) for key in _NAMED_TOKENS))
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
            content = token_content(value)
            return [] if content is None else [content]


def _is_added(tokenizer: tokenizers.Tokenizer, token: str) -> bool:
    return tokenizer.token_to_id(token) in tokenizer.get_added_tokens_decoder()


def token_content(token: object) -> str | None:
    """Return the text of a special token, given as text or as an object with flags."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None
