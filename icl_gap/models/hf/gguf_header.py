"""The header of a GGUF file: its metadata and the names of its tensors, without their values.

The format is that of <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3.
Arrays, such as the vocabulary, are passed over, so that a header is read in a fraction of a second.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icl_gap.errors import ModelError

_VERSIONS = (2, 3)
_FORMATS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""Format of each type of number, as `struct` writes it."""
_STRING, _ARRAY = 8, 9
_SCALED_POSITIONS = "rope_freqs.weight"
"""Tensor with factors of the rotary frequencies, as Llama 3.1 and later have."""

Value = str | float | bool


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """Metadata of a GGUF file, arrays left out, and the names of its tensors."""

    metadata: Mapping[str, Value]
    tensors: tuple[str, ...]

    @property
    def architecture(self) -> str:
        """Architecture as llama.cpp names it, as `qwen2`."""
        return str(self.metadata["general.architecture"])

    @property
    def context_length(self) -> int | None:
        """Context length in tokens; None for positions without a limit (ALiBi)."""
        found = self.metadata.get(f"{self.architecture}.context_length")
        return None if self.architecture == "bloom" or not isinstance(found, int) else found

    @property
    def scaling(self) -> str | None:
        """Setting that scales the rotary positions; None where there is none."""
        if _SCALED_POSITIONS in self.tensors:
            return _SCALED_POSITIONS
        key = f"{self.architecture}.rope.scaling.type"
        found = self.metadata.get(key, "none")
        return None if found == "none" else f"{key}: {found}"

    @property
    def parts(self) -> int:
        """Number of files that the model is split into."""
        found = self.metadata.get("split.count", 1)
        return found if isinstance(found, int) else 1


def read_gguf_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file.

    Raises:
        ModelError: The file is not GGUF, is damaged, or names no architecture.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError("this is not a GGUF file", value=str(path), allowed="a .gguf file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            try:
                header = _Cursor(content, 4).header()
            except (struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
                raise ModelError(f"damaged GGUF file: {error}", value=str(path)) from error
    if not isinstance(header.metadata.get("general.architecture"), str):
        raise ModelError(
            "this GGUF file names no architecture (general.architecture)", value=str(path)
        )
    return header


class _Cursor:
    """A place in a file, from which values are read."""

    def __init__(self, content: mmap.mmap, place: int) -> None:
        self._content = content
        self._place = place

    def header(self) -> GGUFHeader:
        version = self._number("<I")
        if version not in _VERSIONS:
            raise ValueError(f"version {version}, where 2 and 3 can be read")
        n_tensors, n_keys = int(self._number("<Q")), int(self._number("<Q"))
        metadata: dict[str, Value] = {}
        for _ in range(n_keys):
            key = self._string()
            value = self._value(int(self._number("<I")))
            if value is not None:
                metadata[key] = value
        return GGUFHeader(metadata, tuple(self._tensor() for _ in range(n_tensors)))

    def _number(self, pattern: str) -> float | bool:
        (value,) = struct.unpack_from(pattern, self._content, self._place)
        self._place += struct.calcsize(pattern)
        number: float | bool = value
        return number

    def _string(self) -> str:
        length = int(self._number("<Q"))
        end = self._place + length
        if end > len(self._content):
            raise ValueError("it ends within a string")
        text = self._content[self._place : end].decode("utf-8")
        self._place = end
        return text

    def _value(self, kind: int) -> Value | None:
        """Read a value; pass over an array and return None."""
        if kind in _FORMATS:
            return self._number(_FORMATS[kind])
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            raise ValueError(f"a value of the unknown type {kind}")
        inner, count = int(self._number("<I")), int(self._number("<Q"))
        if inner in _FORMATS:
            self._place += count * struct.calcsize(_FORMATS[inner])
        else:
            for _ in range(count):
                self._pass_over(inner)
        return None

    def _pass_over(self, kind: int) -> None:
        if kind == _STRING:
            length = int(self._number("<Q"))
            self._place += length
        else:
            self._value(kind)

    def _tensor(self) -> str:
        """Read the description of a tensor, and return its name."""
        name = self._string()
        n_dimensions = int(self._number("<I"))
        self._place += 8 * n_dimensions + 4 + 8  # its shape, type and offset
        return name
