"""Safe unpacking of archives from the web.

An archive may hold only plain files and folders below the target folder: no absolute path, no `..`,
no link, no device; and no more bytes than the card allows.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from icl_gap.errors import DataError

_CHUNK = 2**20
_MOST_FILES = 100_000
_HEADERS = 2**26
"""The most bytes of a tar's headers."""
_ENCRYPTED = 1
_PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,  # from zipfile, for features that it lacks
)
"""The errors that the readers raise for damaged archives."""

Member = tuple[str, IO[bytes]]


def unpack_archive(archive: Path, folder: Path, *, limit: int) -> dict[str, str]:
    """Unpack a `.tar.gz` or `.zip` into a folder of its own.

    The folder appears once it is complete, and replaces an older one.

    Args:
        archive: The file; its first bytes give its format.
        folder: The target.
        limit: The most bytes of all files together.

    Returns:
        The sha256 of each file by its path in the folder.

    Raises:
        DataError: The archive is damaged, encrypted or compressed by an unsupported method, or
        holds
            forbidden entries or too much. Nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpack-") as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        try:
            with _members(archive, limit) as members:
                sums = _extract(members, whole, limit)
        except _DAMAGE as error:
            raise DataError(
                f"cannot unpack the archive: {error or type(error).__name__}",
                allowed="a whole .tar.gz or .zip",
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
        if len(sums) == _MOST_FILES:
            raise DataError("the archive holds too many files", allowed=f"{_MOST_FILES:,}")
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            while chunk := content.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise _too_much(name, limit)
                digest.update(chunk)
                file.write(chunk)
        sums[name] = digest.hexdigest()
    return sums


@contextmanager
def _members(archive: Path, limit: int) -> Iterator[Iterator[Member]]:
    """Yield the plain files of an archive, each open while it is the current one."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed, closing(_zip_members(packed)) as members:
            yield members
        return
    with (
        gzip.open(archive) as content,
        tarfile.open(fileobj=cast(IO[bytes], _Bounded(content, limit)), mode="r:") as packed_tar,
        closing(_tar_members(packed_tar)) as members,
    ):
        yield members


class _Bounded:
    """A decompressed tar with a bound on reads, since its headers can give any size."""

    def __init__(self, content: gzip.GzipFile, limit: int) -> None:
        self._content = content
        self._limit = limit

    def read(self, size: int) -> bytes:
        if size > 2 * _CHUNK:  # a file is read chunk by chunk
            raise DataError("a header of the archive is too large", allowed=f"{2 * _CHUNK} bytes")
        self._check(self._content.tell() + size)
        return self._content.read(size)

    def seek(self, place: int) -> int:
        self._check(place)
        return self._content.seek(place)

    def tell(self) -> int:
        return self._content.tell()

    def _check(self, place: int) -> None:
        if place > self._limit + _HEADERS:
            raise _too_much("the whole of it", self._limit)


def _zip_members(archive: zipfile.ZipFile) -> Generator[Member, None, None]:
    for info in archive.infolist():
        kind = info.external_attr >> 16 & 0o170000  # Unix mode; 0 if the archive has none
        name = _safe(info.filename, plain=kind in {0, 0o100000, 0o040000})
        if info.is_dir():
            continue
        if info.flag_bits & _ENCRYPTED:
            raise DataError(
                "the archive is encrypted", value=name, allowed="files without a password"
            )
        if info.compress_type not in _PACKINGS:
            raise DataError(
                "the archive is packed in a way that is not read",
                value=f"{name}: method {info.compress_type}",
                allowed="files that are stored or deflated",
            )
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
    readable = not any(unicodedata.category(c) in {"Cc", "Cs"} for c in name)
    if not (name and plain and inside and readable) or "\\" in name or ":" in name:
        raise DataError(
            "the archive holds what it must not, and was not unpacked",
            value=name,
            allowed="plain files and folders below the archive's own folder",
        )
    return str(path)


def _too_much(name: str, limit: int) -> DataError:
    return DataError(
        "the archive holds more than it may",
        value=name,
        allowed=f"{limit} bytes in all (`unpacked_limit` of the card)",
    )
