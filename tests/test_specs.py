"""Faults in YAML files: each names file, line, place, value and what is allowed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from icl_gap.errors import InputError
from icl_gap.specs import Spec, check_spec, line_of, read_spec, shipped


class Inner(Spec):
    dtype: Literal["float32", "bfloat16"] = "float32"
    size: int = 1


class Outer(Spec):
    name: str
    models: tuple[Inner, ...] = ()


GOOD = "name: a\nmodels:\n  - size: 2\n  - dtype: bfloat16\n    size: 3\n"


def fault(tmp_path: Path, text: str | bytes) -> InputError:
    path = tmp_path / "outer.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        read_spec(path, Outer)
    assert caught.value.exit_code == 2
    assert caught.value.place.file == path
    return caught.value


def test_a_good_file_is_read(tmp_path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text(GOOD)
    spec = read_spec(path, Outer)
    assert spec == Outer(name="a", models=(Inner(size=2), Inner(dtype="bfloat16", size=3)))


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        (GOOD.replace("dtype", "dytpe"), 4, "models[1].dytpe", "allowed: dtype, size"),
        (GOOD.replace("bfloat16", "int3"), 4, "models[1].dtype", "'float32' or 'bfloat16'"),
        (GOOD.replace("size: 2", "size: [2]"), 3, "models[0].size", "a whole number"),
        ("models: []\n", None, "name", "this key is missing"),
        (GOOD + "nam: 1\n", 6, "nam", "allowed: name, models"),
        (GOOD + "name: b\n", 6, "name", "stands twice"),
        ("name: [unclosed\n", 2, None, "not valid YAML"),
        ("- a\n- b\n", 1, None, "expected keys and values"),
        ("", 1, None, "expected keys and values"),
        ("name: 2020-13-45\n", None, None, "not valid YAML"),
        (f"name: {'9' * 5000}\n", None, None, "not valid YAML"),
        ("name: &a [*a]\n", 1, None, "aliases repeat without end"),
        ("name: !!python/object/apply:os.getcwd []\n", 1, None, "not valid YAML"),
    ],
)
def test_each_fault_is_placed(tmp_path, text, line, key, said) -> None:
    error = fault(tmp_path, text)
    assert (error.place.line, error.place.key) == (line, key)
    assert said in str(error)
    assert len(str(error).splitlines()) <= 24


def test_an_alias_bomb_is_refused_at_once(tmp_path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghi")]
    assert "aliases repeat" in str(fault(tmp_path, "\n".join(lines)))


def test_the_value_found_is_shown(tmp_path) -> None:
    assert "'int3'" in str(fault(tmp_path, GOOD.replace("bfloat16", "int3")))


def test_many_faults_are_counted(tmp_path) -> None:
    assert "and 2 more" in str(fault(tmp_path, "nam: a\nmodels: 3\n"))


def test_unreadable_files_are_named(tmp_path) -> None:
    assert "not UTF-8" in str(fault(tmp_path, b"name: \xff\xfe"))
    with pytest.raises(InputError, match="No such file"):
        read_spec(tmp_path / "none.yaml", Outer)


def test_a_plain_value_is_checked_without_a_file() -> None:
    with pytest.raises(InputError, match="unknown key"):
        check_spec({"name": "a", "more": 1}, Outer)


@pytest.mark.parametrize(
    ("key", "line"),
    [("models[1].dtype", 4), ("models[1]", 4), ("models[0].other", 3), ("name", 1), (None, None)],
)
def test_a_place_has_a_line(tmp_path, key, line) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text(GOOD)
    assert line_of(path, key) == line


@pytest.mark.parametrize("folder", ["datasets", "sweeps", "plots"])
def test_shipped_folders_are_there(folder) -> None:
    assert list(shipped(folder).glob("*.yaml"))
