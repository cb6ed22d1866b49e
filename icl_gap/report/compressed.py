"""Compressed blocks of the page, kept on disk until the page is written."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections.abc import Iterator
from typing import IO, Any


class CompressedBlocks:
    """Numbered blocks of bytes, of which equal ones are kept once.

    Models that share a tokenizer have the same prompts, so many blocks are equal.

    Args:
        file: A file for the compressed blocks, one per line. Memory holds one block at a time.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._known: dict[bytes, int] = {}

    def add(self, content: bytes) -> int:
        """Keep a block and return its number."""
        digest = hashlib.sha256(content).digest()
        if digest not in self._known:
            self._known[digest] = len(self._known)
            # No time stamp, so that the same results give the same page.
            self._file.write(base64.b64encode(gzip.compress(content, 6, mtime=0)) + b"\n")
        return self._known[digest]

    def add_json(self, value: Any) -> int:
        """Keep a value as JSON and return its block's number."""
        return self.add(browser_json(value).encode())

    def __iter__(self) -> Iterator[str]:
        """Yield the blocks in base64, in the order of their numbers."""
        self._file.seek(0)
        for line in self._file:
            yield line.rstrip(b"\n").decode()


def browser_json(value: Any) -> str:
    """Return JSON for a browser: in ASCII, so that lone surrogates survive, and without NaN."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """Return the value with the numbers that JSON cannot hold as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
