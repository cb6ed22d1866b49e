"""Text files of benchmarks, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import zlib
from io import BufferedIOBase
from pathlib import Path

from icl_gap.data.paths import is_file
from icl_gap.errors import DataError

LARGEST_TEXT = 2**30
"""The most bytes of a file that is read into memory, after decompression."""


def find_file(folder: Path, name: str) -> Path | None:
    """Return the path of a file, or of the same name with `.gz` added; None if there is neither."""
    plain, packed = folder / name, folder / f"{name}.gz"
    return plain if is_file(plain) else packed if is_file(packed) else None


def open_bytes(path: Path) -> BufferedIOBase:
    """Open a file for reading; decompress it if its name ends in `.gz`."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    return path.open("rb")


def read_text(path: Path) -> str:
    """Return the whole text of a file, plain or `.gz`.

    Raises:
        DataError: It cannot be read, is not UTF-8, or holds more than `LARGEST_TEXT`.
    """
    try:
        with open_bytes(path) as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) <= LARGEST_TEXT:
            return content.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError("cannot read the file", value=str(error)).at(file=path) from error
    raise DataError(
        "the file holds too much text", allowed=f"at most {LARGEST_TEXT:,} bytes, decompressed"
    ).at(file=path)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, plain or `.gz`, without their ends.

    A line ends at a line feed alone, with or without a carriage return before it. Other characters
    that Unicode counts as line breaks are part of the text.

    Raises:
        DataError: As for `read_text`.
    """
    lines = [line.removesuffix("\r") for line in read_text(path).split("\n")]
    return lines if lines[-1] else lines[:-1]
