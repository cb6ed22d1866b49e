"""Files of benchmarks: their lines, and what cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import text_files
from icl_gap.data.text_files import read_lines, read_text
from icl_gap.errors import DataError

NO_BREAKS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e\r"


@given(lines=st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"))))
def test_a_line_ends_at_a_line_feed_alone(tmp_path_factory, lines) -> None:
    path = tmp_path_factory.mktemp("lines") / "rows"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert read_lines(path) == [line.removesuffix("\r") for line in lines]


@pytest.mark.parametrize("mark", NO_BREAKS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_other_breaks_are_text(tmp_path: Path, mark: str, end: str) -> None:
    (tmp_path / "rows").write_bytes(f"a{mark}b\nc{mark}d{end}".encode())
    assert read_lines(tmp_path / "rows") == [f"a{mark}b", f"c{mark}d"]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "rows").touch()
    assert read_lines(tmp_path / "rows") == []


@pytest.mark.parametrize("name", ["rows", "rows.gz"])
def test_no_more_is_read_than_fits_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(text_files, "LARGEST_TEXT", 1000)
    path, pack = tmp_path / name, gzip.compress if name.endswith(".gz") else bytes
    path.write_bytes(pack(b"a" * 1000))
    assert len(read_text(path)) == 1000
    path.write_bytes(pack(b"a" * 1001))
    with pytest.raises(DataError, match="too much text") as caught:
        read_text(path)
    assert caught.value.place.file == path


@given(place=st.integers(0, 60), value=st.integers(0, 255), length=st.integers(0, 80))
def test_a_damaged_packed_file_is_told(tmp_path_factory, place, value, length) -> None:
    path = tmp_path_factory.mktemp("damaged") / "rows.gz"
    content = bytearray(gzip.compress(b"say hi\tHI\n" * 3 + b"say ho\tHO\n", mtime=0))
    content[place % len(content)] = value
    path.write_bytes(content[: len(content) - length if length < len(content) else None])
    try:
        text = read_text(path)
    except DataError as error:
        place_of = error.place
    else:
        assert text.isascii()
        return
    assert place_of.file == path
