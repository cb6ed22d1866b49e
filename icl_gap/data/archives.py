"""Unpacking archives from the web, which may be hostile.

Only plain files and folders below the target folder come out: no absolute path, no `..`, no link,
no device; and no more bytes than the card allows.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from icl_gap.errors import DataError

_CHUNK = 2**20

Member = tuple[str, IO[bytes]]


def unpack(archive: Path, folder: Path, *, limit: int) -> dict[str, str]:
    """Unpack a `.tar.gz` or `.zip` into a folder of its own.

    The folder appears once it is whole, and takes the place of an older one.

    Args:
        archive: The file; its first bytes tell its kind.
        folder: The target.
        limit: How many bytes may come out in all.

    Returns:
        The sha256 of each file by its path in the folder.

    Raises:
        DataError: The archive is damaged, holds what it must not, or holds too much.
            Nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        try:
            with _members(archive) as members:
                sums = _extract(members, whole, limit)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(
                f"cannot unpack the archive: {error}", allowed="a whole .tar.gz or .zip"
            ).at(file=archive) from error
        except DataError as error:
            raise error.at(file=archive) from None
        shutil.rmtree(folder, ignore_errors=True)
        whole.replace(folder)
    return sums


def _extract(members: Iterator[Member], folder: Path, limit: int) -> dict[str, str]:
    sums: dict[str, str] = {}
    room = limit
    for name, content in members:
        target = folder / name
        if name in sums:
            raise DataError("the archive holds a file twice", value=name, allowed="once each")
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            while chunk := content.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise DataError(
                        "the archive holds more than it may",
                        value=name,
                        allowed=f"{limit} bytes in all (`unpacked_limit` of the card)",
                    )
                digest.update(chunk)
                file.write(chunk)
        sums[name] = digest.hexdigest()
    return sums


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """The plain files of an archive, each open for reading while it is the current one."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed, closing(_zip_members(packed)) as members:
            yield members
    else:
        with tarfile.open(archive) as packed_tar, closing(_tar_members(packed_tar)) as members:
            yield members


def _zip_members(archive: zipfile.ZipFile) -> Generator[Member, None, None]:
    for info in archive.infolist():
        kind = info.external_attr >> 16 & 0o170000  # of Unix; 0 where the maker noted none
        name = _safe(info.filename, plain=kind in {0, 0o100000, 0o040000})
        if not info.is_dir():
            with archive.open(info) as content:
                yield name, content


def _tar_members(archive: tarfile.TarFile) -> Generator[Member, None, None]:
    for info in archive:
        name = _safe(info.name, plain=info.isreg() or info.isdir())
        content = archive.extractfile(info)
        if content is not None:
            with content:
                yield name, content


def _safe(name: str, *, plain: bool) -> str:
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts
    if not plain or not inside or "\\" in name or ":" in name or "\0" in name:
        raise DataError(
            "the archive holds what it must not, and was not unpacked",
            value=name,
            allowed="plain files and folders below the archive's own folder",
        )
    return str(path)
