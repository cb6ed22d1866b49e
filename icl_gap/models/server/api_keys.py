"""The key of a server: where it comes from, and how it stays out of what is shown or stored."""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import unquote

from icl_gap.errors import ModelError
from icl_gap.models.server.address import is_here
from icl_gap.models.spec import OpenAISpec

MASK = "…"
"""Stands where the key stood."""
_WITHHELD = f"{MASK} (withheld: it holds the key)"
_TELLING = 8
"""Characters of a key that give it away. A shorter key cannot be told from ordinary text."""
_DEPTH = 3
"""Layers of escapes that are taken off: JSON in JSON in a body, percent signs that are escaped."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def read_key(spec: OpenAISpec) -> str | None:
    """Read the key from the environment.

    Args:
        spec: The model, whose address has passed `check_server`.

    Returns:
        None where the server is on this machine and the variable is not set.

    Raises:
        ModelError: There is no key, no header can hold it, or the sweep holds it too.
    """
    key = os.environ.get(spec.api_key_env, "").strip()
    if not key:
        if is_here(spec.base_url):
            return None
        raise ModelError(
            f"the environment variable {spec.api_key_env} holds no key for {spec.base_url}",
            allowed=f"export {spec.api_key_env}=…, or another variable's name as `api_key_env`",
        ).at(key="api_key_env")
    if not re.fullmatch(r"[!-~]+", key):
        raise ModelError(
            f"the environment variable {spec.api_key_env} holds what is no key",
            allowed="visible ASCII characters without spaces",
        ).at(key="api_key_env")
    if len(key) >= _TELLING and key in json.dumps(spec.model_dump(mode="json")):
        raise ModelError(
            f"this entry repeats the key that the environment variable {spec.api_key_env} holds",
            allowed="an entry without the key: the sweep is stored with the results",
        )
    return key


def holds_key(text: str, key: str | None) -> bool:
    """Whether a text gives a key away: the first 8 characters of it or more, plain or encoded.

    Escapes (JSON, percent signs) are taken off, and base64 is known at any offset, so that
    `base64("user:KEY")` is found too.

    Args:
        text: Any text.
        key: The key; one of fewer than 8 characters is never found.
    """
    if key is None or len(key) < _TELLING:
        return False
    return any(start in view for view in _views(text) for start in _starts(key))


def without_key(text: str, key: str | None) -> str:
    """A text with `…` where the key stood, or a part of it that a cut has left.

    Args:
        text: Any text.
        key: The key, of any length; None where there is none.
    """
    if key is None:
        return text
    if len(key) < _TELLING:
        return text.replace(key, MASK)
    for needle, _ in _needles(key):
        text = text.replace(needle, MASK)
    if any(start in view for view in _views(text) - {text} for start in _starts(key)):
        return _WITHHELD  # among escapes nobody can tell where the key ends
    for needle, least in _needles(key):
        text = _covered(text, needle, least)
    return text


def _needles(key: str) -> Iterator[tuple[str, int]]:
    """The spellings of a key, each with how many of its first characters give it away."""
    yield key, _TELLING
    data = key.encode()
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            # Characters that hold bits of the key alone, however many bytes come before it.
            first, end = (8 * before + 5) // 6, 8 * (before + len(data)) // 6
            core = encode(bytes(before) + data).decode()[first:end]
            yield core, min(len(core), _TELLING * 8 // 6)


def _starts(key: str) -> list[str]:
    return [needle[:least] for needle, least in _needles(key)]


def _covered(text: str, needle: str, least: int) -> str:
    """A text with a mask for each start of a needle, from some length on."""
    parts, begin = [], 0
    while (found := text.find(needle[:least], begin)) >= 0:
        end = found + least
        while text[found : end + 1] == needle[: end + 1 - found] and end < len(text):
            end += 1
        parts += [text[begin:found], MASK]
        begin = end
    return "".join((*parts, text[begin:]))


def _views(text: str) -> set[str]:
    """A text, and what it says once some layers of escapes are off."""
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
