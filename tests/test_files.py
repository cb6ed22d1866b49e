"""Files: nothing but regular ones is read or written, and these only as a whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from icl_gap.files import (
    IrregularError,
    append_regular,
    check_folder,
    check_regular,
    make_folder,
    open_regular,
    read_regular,
    remove_temporaries,
    replacing,
    write_atomically,
)


def link(path: Path) -> None:
    path.symlink_to(path.parent / "victim")


def dangling(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def device(path: Path) -> None:
    path.symlink_to("/dev/null")  # a device of one's own needs leave to make it


def open_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


IRREGULAR = {
    "link": (link, "a symbolic link"),
    "dangling": (dangling, "a symbolic link"),
    "device": (device, "a symbolic link"),
    "fifo": (os.mkfifo, "a FIFO"),
    "folder": (Path.mkdir, "a folder"),
    "socket": (open_socket, "a socket"),
}
Make = Callable[[Path], None]


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail rather than wait for a FIFO's other end."""
    signal.alarm(5)
    try:
        yield
    finally:
        signal.alarm(0)


def write(path: Path) -> None:
    write_atomically(path, [b"new"])


@pytest.mark.parametrize("use", [open_regular, append_regular, write, check_regular])
@pytest.mark.parametrize(("make", "kind"), IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path, use, make, kind) -> None:
    (tmp_path / "victim").write_text("precious")
    path = tmp_path / "path"
    make(path)
    before = path.lstat()
    with no_hang(), pytest.raises(IrregularError, match=f"it is {kind}, and must be a regular"):
        use(path)
    after = path.lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "victim").read_text() == "precious"
    assert {each.name for each in tmp_path.iterdir()} == {"victim", "path"}


def test_a_device_is_refused_before_it_is_opened() -> None:
    for use in (open_regular, append_regular, write):
        with pytest.raises(IrregularError, match="a device"):
            use(Path("/dev/full"))
    with pytest.raises(IrregularError, match="a device"):
        open_regular(Path("/dev/zero"), follow=True)


def test_what_takes_a_paths_place_between_check_and_open_is_refused(tmp_path, monkeypatch) -> None:
    path = tmp_path / "path"
    os.mkfifo(path)
    monkeypatch.setattr("icl_gap.files._check", lambda *_: None)
    file = open_regular(path)  # does not wait
    file.close()
    path.unlink()
    link(path)
    with pytest.raises(IrregularError, match="a symbolic link"):
        open_regular(path)


def test_a_link_to_a_regular_file_may_be_allowed(tmp_path) -> None:
    (tmp_path / "victim").write_text("content")
    link(tmp_path / "link")
    assert read_regular(tmp_path / "link", follow=True) == b"content"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "other").symlink_to(tmp_path / "fifo")
    with no_hang(), pytest.raises(IrregularError, match="a FIFO"):
        read_regular(tmp_path / "other", follow=True)


def test_a_file_is_there_whole_or_as_it_was(tmp_path) -> None:
    path = tmp_path / "path"
    write_atomically(path, [b"one ", b"two"])
    assert path.read_bytes() == b"one two"

    def half() -> Iterator[bytes]:
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_atomically(path, half())
    assert path.read_bytes() == b"one two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_gets_the_rights_that_the_user_gives_new_files(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "path", [b""])
    finally:
        os.umask(before)
    assert (tmp_path / "path").stat().st_mode & 0o777 == 0o640


def test_a_file_is_on_the_disk_before_it_takes_its_name_and_the_name_after(
    tmp_path, monkeypatch
) -> None:
    steps: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("sync", "new" if name.suffix == ".tmp" else str(name)))
        fsync(descriptor)

    def replaced(new: Path, path: Path) -> Path:
        assert new.read_bytes() == b"content"
        steps.append(("replace", str(path)))
        return replace(new, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    path = tmp_path / "path"
    write_atomically(path, [b"content"])
    assert steps == [("sync", "new"), ("replace", str(path)), ("sync", str(tmp_path))]


def test_folders_are_made_to_last_and_links_to_them_refused(tmp_path, monkeypatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("icl_gap.files.sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    make_folder(tmp_path / "link" / "c")  # the link is the user's own
    for use in (make_folder, check_folder):
        use(tmp_path / "link", follow=True)
        with pytest.raises(IrregularError, match="a symbolic link, and must be a folder"):
            use(tmp_path / "link")
        (tmp_path / "file").touch()
        with pytest.raises(IrregularError, match="a file, and must be a folder"):
            use(tmp_path / "file")


KILLED = """
import os, signal, sys
from pathlib import Path
from icl_gap.files import replacing

with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path) -> None:
    path = tmp_path / "path"
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"half"
    (tmp_path / f".icl-gap-{'0' * 32}.tmp").symlink_to(left)
    with replacing(path) as file:
        remove_temporaries(tmp_path)
        file.write(b"whole")
    assert not left.exists()
    assert path.read_bytes() == b"whole"
    assert len(list(tmp_path.iterdir())) == 2  # the link is nobody's temporary file
    remove_temporaries(tmp_path / "missing")
