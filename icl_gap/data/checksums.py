"""The sha256 of benchmark files, compared with those on the card or in the receipt.

`load_split` checks every fetched file before it parses it. Files of the cache of parsed benchmarks
have checksums of their own. The files of a user's folder may be of another edition than those on
the card, so only `verify_benchmark` checks them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from icl_gap.data.cards import RECEIPT, DatasetCard, HubSource, LocalSource, UrlSource
from icl_gap.data.locations import SourceFolder, fetched_folder, sha256_of
from icl_gap.data.text_files import find_file, open_bytes
from icl_gap.errors import DataError, Place
from icl_gap.files import open_regular


@dataclass(frozen=True, slots=True)
class FileCheck:
    """The result of checking one file."""

    path: Path
    expected: str
    """The expected sha256 of the content."""
    found: str | None
    """The sha256 of the content; None if the file is missing or cannot be read."""

    @property
    def ok(self) -> bool:
        """True if the content has the expected sha256."""
        return self.found == self.expected


def check_source(card: DatasetCard, found: SourceFolder) -> list[FileCheck]:
    """Check every file of a source whose sha256 is known.

    Raises:
        DataError: The receipt of a fetched folder is damaged.
    """
    match found.source:
        case LocalSource() as source:
            return [_content(found.folder, *known) for known in source.files.items()]
        case UrlSource() | HubSource() as source:
            folder = fetched_folder(card, source)
            known_sums = expected_checksums(source, folder).items()
            return [
                FileCheck(folder / name, digest, _sum(folder / name)) for name, digest in known_sums
            ]
        case _:
            return []


def check_fetched(card: DatasetCard, found: SourceFolder, files: Iterable[Path]) -> None:
    """Check fetched files before they are parsed.

    Args:
        card: The benchmark.
        found: The source of the files; a folder of the user's own is not checked.
        files: The files.

    Raises:
        DataError: A file is not the one that was fetched.
    """
    if not isinstance(found.source, UrlSource | HubSource):
        return
    folder = fetched_folder(card, found.source)
    expected = expected_checksums(found.source, folder)
    for file in files:
        wanted = expected.get(file.relative_to(folder).as_posix())
        have = _sum(file)
        if have is None or have != wanted:
            raise DataError(
                "this is not the file that was fetched: its sha256 is another",
                value=have,
                allowed=f"{wanted or 'only files that were fetched'}; run `icl-gap data fetch "
                f"{card.name}` to get the benchmark again",
                place=Place(file),
            )


def expected_checksums(source: UrlSource | HubSource, folder: Path) -> Mapping[str, str]:
    """Return the sha256 of each file of a fetched folder, from the card and the receipt.

    Raises:
        DataError: The receipt is damaged.
    """
    named = source.files if isinstance(source, UrlSource) else ()
    return read_receipt(folder) | {file.to: file.sha256 for file in named if not file.unpack}


def read_receipt(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a fetched folder from its receipt.

    Raises:
        DataError: The receipt is damaged.
    """
    try:
        noted = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in noted.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(
            "the fetched data is damaged",
            value=str(error),
            allowed="remove the folder; fetch again",
        ).at(file=folder) from error


def _content(folder: Path, name: str, expected: str) -> FileCheck:
    """Check a file's content, plain or `.gz`."""
    path = find_file(folder, name)
    if path is None:
        return FileCheck(folder / name, expected, None)
    try:
        with open_bytes(path) as content:
            return FileCheck(path, expected, sha256_of(content))
    except (OSError, EOFError, zlib.error):
        return FileCheck(path, expected, None)


def _sum(path: Path) -> str | None:
    """Return the sha256 of a file's bytes without decompression; None if it cannot be read."""
    try:
        with open_regular(path, follow=True) as content:
            return sha256_of(content)
    except OSError:
        return None
