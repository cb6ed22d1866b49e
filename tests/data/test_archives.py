from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from icl_gap.data.archives import unpack
from icl_gap.errors import DataError


def tar(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """Write a `.tar.gz` of members (name, type, content or link target)."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            archive.addfile(info, io.BytesIO(content))
    return path


def pack(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def zip_link(path: Path) -> Path:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


def unpack_refused(archive: Path, folder: Path, limit: int = 1000) -> str:
    """Check that nothing at all comes out, and return the reason."""
    before = {path for path in folder.parent.rglob("*") if path != archive}
    with pytest.raises(DataError) as caught:
        unpack(archive, folder, limit=limit)
    assert {path for path in folder.parent.rglob("*") if path != archive} == before
    assert caught.value.place.file == archive
    return caught.value.problem


@pytest.mark.parametrize(
    "make",
    [
        lambda path: tar(
            path, ("d/a.txt", tarfile.REGTYPE, b"one"), ("b", tarfile.REGTYPE, b"two")
        ),
        lambda path: pack(path, ("d/", b""), ("d/a.txt", b"one"), ("b", b"two")),
    ],
)
def test_files_come_out_with_their_sums(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    folder = tmp_path / "out"
    (folder / "old").mkdir(parents=True)
    sums = unpack(make(tmp_path / "archive"), folder, limit=6)
    assert (folder / "d" / "a.txt").read_bytes() == b"one"
    assert sums == {
        "d/a.txt": hashlib.sha256(b"one").hexdigest(),
        "b": hashlib.sha256(b"two").hexdigest(),
    }
    assert sorted(path.name for path in folder.iterdir()) == ["b", "d"]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: tar(path, ("../evil", tarfile.REGTYPE, b"x")),
        lambda path: tar(path, ("a/../../evil", tarfile.REGTYPE, b"x")),
        lambda path: tar(path, ("/tmp/evil", tarfile.REGTYPE, b"x")),  # noqa: S108  # never made
        lambda path: tar(path, ("good", tarfile.REGTYPE, b"x"), ("l", tarfile.SYMTYPE, b"/etc")),
        lambda path: tar(path, ("l", tarfile.SYMTYPE, b".."), ("l/evil", tarfile.REGTYPE, b"x")),
        lambda path: tar(path, ("l", tarfile.LNKTYPE, b"../evil")),
        lambda path: tar(path, ("pipe", tarfile.FIFOTYPE, b"")),
        lambda path: tar(path, ("device", tarfile.CHRTYPE, b"")),
        lambda path: tar(path, ("c:evil", tarfile.REGTYPE, b"x")),
        lambda path: pack(path, ("../evil", b"x")),
        lambda path: pack(path, ("/evil", b"x")),
        lambda path: pack(path, ("..\\evil", b"x")),
        zip_link,
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    archive = make(tmp_path / "archive")
    assert "must not" in unpack_refused(archive, tmp_path / "in" / "out")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: tar(path, ("zeros", tarfile.REGTYPE, bytes(10**6))),
        lambda path: pack(path, ("zeros", bytes(10**6))),
        lambda path: pack(path, *((f"{n}", bytes(300)) for n in range(4))),
    ],
)
def test_no_more_comes_out_than_the_card_allows(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    archive = make(tmp_path / "archive")
    assert "more than it may" in unpack_refused(archive, tmp_path / "in" / "out")


def test_a_file_that_stands_twice_is_refused(tmp_path: Path) -> None:
    archive = tar(
        tmp_path / "archive", ("a", tarfile.REGTYPE, b"1"), ("./a", tarfile.REGTYPE, b"2")
    )
    assert "twice" in unpack_refused(archive, tmp_path / "in" / "out")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 no zip"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    assert "cannot unpack" in unpack_refused(archive, tmp_path / "in" / "out")


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    archive = tar(tmp_path / "archive", ("a", tarfile.REGTYPE, bytes(range(256)) * 20))
    archive.write_bytes(archive.read_bytes()[:-100])
    assert "cannot unpack" in unpack_refused(archive, tmp_path / "in" / "out", limit=10**6)
