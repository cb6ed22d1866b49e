"""API keys: read from the environment, and kept out of all that is shown or stored."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import unquote

from icl_gap.errors import ModelError
from icl_gap.models.server.address import is_local
from icl_gap.models.spec import OpenAISpec

MASK = "…"
"""Replacement for the key."""
_WITHHELD = f"{MASK} (withheld: it holds the key)"
_REVEALING = 8
"""Number of characters of a key that reveal it. A shorter key may be ordinary text."""
_DEPTH = 3
"""Number of layers of escapes that are decoded, as JSON in JSON in a body."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def read_key(spec: OpenAISpec) -> str | None:
    """Read the key from the environment.

    Args:
        spec: The model, whose address has passed `check_server`.

    Returns:
        The key; None where the server is on this machine and the variable is not set.

    Raises:
        ModelError: The variable is not set, its value cannot be in a header, or the sweep repeats
            the key.
    """
    key = os.environ.get(spec.api_key_env, "").strip()
    if not key:
        if is_local(spec.base_url):
            return None
        raise ModelError(
            f"the environment variable {spec.api_key_env} holds no key for {spec.base_url}",
            allowed=f"export {spec.api_key_env}=…, or another variable's name as `api_key_env`",
        ).at(key="api_key_env")
    if not re.fullmatch(r"[!-~]+", key):
        raise ModelError(
            f"the environment variable {spec.api_key_env} holds text that is not a key",
            allowed="visible ASCII characters without spaces",
        ).at(key="api_key_env")
    if len(key) >= _REVEALING and key in json.dumps(spec.model_dump(mode="json")):
        raise ModelError(
            f"this entry repeats the key that the environment variable {spec.api_key_env} holds",
            allowed="an entry without the key: the sweep is stored with the results",
        )
    return key


def holds_key(text: str, key: str | None) -> bool:
    """Return whether a text reveals the first 8 characters of a key or more, plain or encoded.

    Escapes (JSON, percent signs) are decoded, and base64 is recognized at any offset, as in
    `base64("user:KEY")`.

    Args:
        text: Any text.
        key: The key; one of fewer than 8 characters is never found.
    """
    if key is None or len(key) < _REVEALING:
        return False
    return any(start in view for view in _views(text) for start in _starts(key))


def without_key(text: str, key: str | None) -> str:
    """Return a text with `…` in place of the key, and of starts of it that truncation has left.

    Args:
        text: Any text.
        key: The key, of any length; None where there is none.
    """
    if key is None:
        return text
    if len(key) < _REVEALING:
        return text.replace(key, MASK)
    for needle, _ in _needles(key):
        text = text.replace(needle, MASK)
    if any(start in view for view in _views(text) - {text} for start in _starts(key)):
        return _WITHHELD  # among escapes, the end of the key is not known
    for needle, least in _needles(key):
        text = _covered(text, needle, least)
    return text


def _needles(key: str) -> Iterator[tuple[str, int]]:
    """Yield the encodings of a key, each with the number of first characters that reveal it."""
    yield key, _REVEALING
    data = key.encode()
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            # Characters that encode bits of the key alone, for any number of bytes before it.
            first, end = (8 * before + 5) // 6, 8 * (before + len(data)) // 6
            core = encode(bytes(before) + data).decode()[first:end]
            yield core, min(len(core), _REVEALING * 8 // 6)


def _starts(key: str) -> list[str]:
    return [needle[:least] for needle, least in _needles(key)]


def _covered(text: str, needle: str, least: int) -> str:
    """Mask each start of a needle that has at least some length."""
    parts, begin = [], 0
    while (found := text.find(needle[:least], begin)) >= 0:
        end = found + least
        while text[found : end + 1] == needle[: end + 1 - found] and end < len(text):
            end += 1
        parts += [text[begin:found], MASK]
        begin = end
    return "".join((*parts, text[begin:]))


def _views(text: str) -> set[str]:
    """Return a text and its versions with some layers of escapes decoded."""
    seen = {text}
    new = seen
    for _ in range(_DEPTH):
        new = {decode(each) for each in new for decode in (unquote, _unescaped)} - seen
        seen = seen | new
    return seen


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(escape: re.Match[str]) -> str:
    wide, narrow, other = escape.groups()
    return str(other) if other is not None else chr(int(wide or narrow, 16))
