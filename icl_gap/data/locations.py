"""The folders of benchmark data: the user's own, fetched ones and the cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import IO, assert_never

from icl_gap.cache_folder import cache_root
from icl_gap.data.cards import (
    RECEIPT,
    DatasetCard,
    GrammarSource,
    HubSource,
    LocalSource,
    Source,
    UrlSource,
)
from icl_gap.data.paths import expanded, is_folder
from icl_gap.errors import DataError


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A source whose data is on this machine, and its folder."""

    source: Source
    folder: Path


def data_root(root: Path | None) -> Path | None:
    """Return the user's data folder: the argument, else `ICL_GAP_DATA`, else None."""
    if root is not None:
        return expanded(root)
    named = os.environ.get("ICL_GAP_DATA")
    return expanded(named) if named else None


def fetched_folder(card: DatasetCard, source: UrlSource | HubSource) -> Path:
    """Return the folder that a source is fetched to; another or a changed source has another.

    The size of a file does not count, since its sha256 does.
    """
    described = source.model_dump_json(exclude={"files": {"__all__": {"bytes"}}})
    digest = hashlib.sha256(described.encode()).hexdigest()
    return cache_root() / "data" / f"{card.name}-{digest[:12]}"


def find_sources(card: DatasetCard, root: Path | None) -> Iterator[SourceFolder]:
    """Yield the sources of a card that are on this machine, in the card's order."""
    for source in card.sources:
        folder = _folder(card, source, data_root(root))
        if folder is not None and is_folder(folder):
            yield SourceFolder(source, folder)


def _folder(card: DatasetCard, source: Source, root: Path | None) -> Path | None:
    match source:
        case LocalSource():
            folder = expanded(source.folder)
            if folder.is_absolute():
                return folder
            return None if root is None else root / folder
        case UrlSource():
            fetched = fetched_folder(card, source)
            return fetched / source.folder if (fetched / RECEIPT).is_file() else None
        case HubSource():
            fetched = fetched_folder(card, source)
            return fetched if (fetched / RECEIPT).is_file() else None
        case GrammarSource():
            return Path()
    assert_never(source)


def missing_data(card: DatasetCard, root: Path | None, why: str | None = None) -> DataError:
    """Return the error for a benchmark without data, with the ways to get it.

    Args:
        card: The benchmark.
        root: The data folder, as for `load_split`.
        why: The problem, if there is a folder that lacks something.
    """
    folder = data_root(root)
    looked = "no data folder is set" if folder is None else f"data folder {folder}"
    names = [source.folder for source in card.sources if source.kind == "local"]
    ways = [f"set ICL_GAP_DATA to a folder that holds {name}/" for name in names]
    if any(source.kind in {"url", "hub"} for source in card.sources):
        ways.insert(0, f"run `icl-gap data fetch {card.name}`")
    return DataError(
        why or f"the data of {card.name} is not on this machine",
        value=f"{looked}, fetched data in {cache_root() / 'data'}",
        allowed=", or ".join(ways),
    )


def sha256_of(file: IO[bytes] | BufferedIOBase) -> str:
    """Return the sha256 of an open file from its position to its end, in hexadecimal."""
    digest = hashlib.sha256()
    while chunk := file.read(2**20):
        digest.update(chunk)
    return digest.hexdigest()
