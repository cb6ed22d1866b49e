from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import archives
from icl_gap.data.archives import unpack_archive
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
        unpack_archive(archive, folder, limit=limit)
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
    sums = unpack_archive(make(tmp_path / "archive"), folder, limit=6)
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


def changed(path: Path, *changes: tuple[int, bytes]) -> Path:
    """Change a `.zip` of one member in its local header, and in the directory at its end."""
    content = bytearray(path.read_bytes())
    for place, value in changes:
        for start in (6 + place, content.rindex(b"PK\x01\x02") + 8 + place):
            content[start : start + len(value)] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([(0, b"\x01")], "encrypted"),
        ([(2, b"\x63\x00")], "way that is not read"),
        ([(2, b"\x09\x00")], "way that is not read"),
        ([(0, b"\x20")], "cannot unpack"),
        ([(0, b"\x40")], "cannot unpack"),
    ],
)
def test_a_zip_that_cannot_be_read_is_told(
    tmp_path: Path, changes: list[tuple[int, bytes]], reason: str
) -> None:
    archive = changed(pack(tmp_path / "archive", ("a", b"one")), *changes)
    assert reason in unpack_refused(archive, tmp_path / "in" / "out")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_stored_or_deflated(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w", method) as archive:
        archive.writestr("a", b"one")
    assert "way that is not read" in unpack_refused(tmp_path / "archive", tmp_path / "in" / "out")


@pytest.mark.parametrize("mode", ["w", "w:bz2", "w:xz"])
def test_a_tar_that_is_no_gzip_is_refused(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "archive", mode) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert "cannot unpack" in unpack_refused(tmp_path / "archive", tmp_path / "in" / "out")


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "caf\udce9", "a\x85"])
def test_names_are_plain_text(tmp_path: Path, name: str) -> None:
    archive = tar(tmp_path / "archive", (name, tarfile.REGTYPE, b"1"))
    assert "must not" in unpack_refused(archive, tmp_path / "in" / "out")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_without_end_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = kind, 2**32
    (tmp_path / "archive").write_bytes(gzip.compress(info.tobuf() + bytes(10**6)))
    reason = unpack_refused(tmp_path / "archive", tmp_path / "in" / "out", limit=2**40)
    assert "header" in reason


def test_a_tar_of_headers_alone_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_HEADERS", 2**16)
    folders = [(f"{n}", tarfile.DIRTYPE, b"") for n in range(1000)]
    archive = tar(tmp_path / "archive", *folders)
    assert "more than it may" in unpack_refused(archive, tmp_path / "in" / "out")


def test_the_files_of_an_archive_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "_MOST_FILES", 3)
    empty = [(f"{n}", b"") for n in range(4)]
    assert "too many files" in unpack_refused(
        pack(tmp_path / "archive", *empty), tmp_path / "in" / "out"
    )


def test_a_sparse_file_counts_in_full(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**30
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    (tmp_path / "archive").write_bytes(gzip.compress(bytes(header) + bytes(10**4)))
    assert "more than it may" in unpack_refused(tmp_path / "archive", tmp_path / "in" / "out")


@given(data=st.data())
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_no_damage_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """A `tar` is damaged before it is compressed, a `tar.gz` afterwards."""
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "archive"
    if kind == "zip":
        pack(path, ("d/a.txt", b"one" * 50), ("b", b"two"))
    else:
        tar(path, ("d/" + "a" * 120, tarfile.REGTYPE, b"one"), ("\xe4", tarfile.REGTYPE, b"two"))
    content = bytearray(path.read_bytes())
    if kind == "tar":
        content = bytearray(gzip.decompress(content)[:6000])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(max_size=4))
        content[place : place + data.draw(st.integers(0, 4))] = piece
    path.write_bytes(gzip.compress(content) if kind == "tar" else content)
    with contextlib.suppress(DataError):
        unpack_archive(path, folder / "in" / "out", limit=1000)
    assert {path.name for path in (folder / "in").iterdir()} <= {"out"}


def test_a_file_without_a_name_is_refused(tmp_path: Path) -> None:
    # Its name becomes an extra field of one byte.
    archive = changed(pack(tmp_path / "archive", ("a", b"one")), (20, b"\0\0\1\0"))
    assert "must not" in unpack_refused(archive, tmp_path / "in" / "out")
