"""The download of a benchmark from the first source of its card that can be reached."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from icl_gap.data import hub_datasets as hub
from icl_gap.data.archives import unpack_archive
from icl_gap.data.cards import RECEIPT, DatasetCard, HubSource, UrlFile, UrlSource
from icl_gap.data.checksums import check_source, read_receipt
from icl_gap.data.download import DownloadProgress, download_file
from icl_gap.data.locations import SourceFolder, fetched_folder, sha256_of
from icl_gap.errors import DataError
from icl_gap.files import write_atomically


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of `fetch_benchmark`."""

    name: str
    kind: str
    """The kind of the source: `url`, `hub`, or `grammar` if there is nothing to download."""
    folder: Path | None
    files: tuple[Path, ...]
    already_here: bool
    failed: tuple[str, ...] = ()
    """The problems of the sources before this one."""


def fetch_benchmark(card: DatasetCard, *, progress: DownloadProgress | None = None) -> Fetched:
    """Download the files of a benchmark and check them.

    Args:
        card: From `load_card`.
        progress: Called with the file's name, the bytes received and the total bytes.

    Returns:
        The folder and its files.

    Raises:
        DataError: No source of the card can be downloaded; the error is that of the first one.
    """
    first: DataError | None = None
    failed: list[str] = []
    for source in card.sources:
        if source.kind == "grammar":
            return Fetched(card.name, "grammar", None, (), already_here=True)
        if source.kind == "local":
            continue
        folder = fetched_folder(card, source)
        try:
            here = _is_here(card, source, folder)
            if not here:
                _fetch(card, source, folder, progress)
        except DataError as error:
            first = first or error
            failed.append(error.problem)
            continue
        files = tuple(folder / name for name in read_receipt(folder))
        return Fetched(card.name, source.kind, folder, files, here, tuple(failed))
    raise first or DataError(
        f"the card of {card.name} names no source that could be fetched",
        allowed="a source of kind url or hub in the card, or the data in a folder of your own",
    )


def _is_here(card: DatasetCard, source: UrlSource | HubSource, folder: Path) -> bool:
    """Return whether a source has been fetched as a whole and still has its checksums."""
    if not (folder / RECEIPT).is_file():
        return False
    return all(check.ok for check in check_source(card, SourceFolder(source, folder)))


def _fetch(
    card: DatasetCard,
    source: UrlSource | HubSource,
    folder: Path,
    progress: DownloadProgress | None,
) -> None:
    """Fill the folder and write the receipt last, so that it marks a complete folder.

    Files that are there with their checksums are not downloaded again.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(source, HubSource):
            sums = _fetch_hub(card, source, folder)
        else:
            sums = {}
            for file in source.files:
                sums |= _fetch_file(file, folder, progress)
        write_atomically(folder / RECEIPT, [json.dumps(sums, indent=1).encode()])
    except OSError as error:
        raise DataError(f"cannot write the fetched data: {error}").at(file=folder) from error


def _fetch_file(file: UrlFile, folder: Path, progress: DownloadProgress | None) -> dict[str, str]:
    if not file.unpack:
        download_file(file, folder / file.to, progress)
        return {file.to: file.sha256}
    archive = folder / f".archive-{file.sha256[:12]}"
    download_file(file, archive, progress)
    sums = unpack_archive(archive, folder / file.to, limit=file.unpacked_limit)
    archive.unlink()
    return {f"{file.to}/{name}": digest for name, digest in sums.items()}


def _fetch_hub(card: DatasetCard, source: HubSource, folder: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".hub-") as scratch:
        whole = Path(scratch) / "whole"
        files = hub.fetch_repository(card, source, whole)
        sums = {}
        for path in files:
            with path.open("rb") as content:
                sums[path.relative_to(whole).as_posix()] = sha256_of(content)
        shutil.rmtree(folder)
        whole.replace(folder)
    return sums
