"""Faults in YAML files: each names file, line, place, value and what is allowed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, field_validator

from icl_gap.errors import Faults, InputError, Place, did_you_mean
from icl_gap.specs import Spec, anchored, check_spec, line_of, read_spec, shipped, user_path


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
        (GOOD + "name: b\n", 6, "name", "stands twice, first on line 1"),
        ("name: [unclosed\n", 2, None, "not valid YAML"),
        ("- a\n- b\n", 1, None, "expected keys and values"),
        ("", 1, None, "expected keys and values"),
        ("name: 2020-13-45\n", None, None, "not valid YAML"),
        (f"name: {'9' * 5000}\n", 1, "name", "the number is too long"),
        (f"models:\n - size: 0x{'F' * 5000}\n", 2, "models[0].size", "the number is too long"),
        (f"models:\n - size: {':'.join(['59'] * 400)}.5\n", 2, "models[0].size", "too long"),
        (f"name: a\n{'9' * 900}: b\n", 2, None, "the number is too long"),
        ('name: !!int ""\n', 1, None, "not valid YAML: tags"),
        ("name: a\nmodels: !!bool x\n", 2, None, "not valid YAML: tags"),
        ('name: a\nmodels: "\\ud800"\n', 2, "models", "half of a surrogate pair"),
        ('name: a\n"\\udfff": b\n', 2, None, "half of a surrogate pair"),
        (f"name: a\nmodels: [{{size: {2**63}}}]\n", 2, "models[0].size", "out of range"),
        (f"name: {-(2**63) - 1}\n", 1, "name", "to 9223372036854775807"),
        ("name: .inf\n", 1, "name", "allowed: a finite number"),
        ("name: .nan\n", 1, "name", "allowed: a finite number"),
        ("name: 1.0e+400\n", 1, "name", "allowed: a finite number"),
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


def test_all_faults_are_told_in_the_order_of_the_file(tmp_path) -> None:
    error = fault(tmp_path, "nam: a\nmodels:\n  - {size: x, dtype: int3}\n  - {speed: 1}\n")
    shown = [line for line in str(error).splitlines() if not line.startswith("  ")]
    assert [line.split(": ", 1)[0].split(", ", 1)[1] for line in shown] == [
        "line 1, nam",
        "line 3, models[0].dtype",
        "line 3, models[0].size",
        "line 4, models[1].speed",
    ]


def test_ten_faults_are_shown_and_the_others_counted(tmp_path) -> None:
    entries = "".join(f"  - {{size: x{n}}}\n" for n in range(13))
    *shown, last = str(fault(tmp_path, f"name: a\nmodels:\n{entries}")).splitlines()
    assert sum("wrong type or value" in line for line in shown) == 10
    assert last == "and 3 more"


def test_a_fault_that_follows_from_another_is_not_told(tmp_path) -> None:
    error = fault(tmp_path, "nam: a\n")
    assert error.problem == "unknown key; did you mean `name`?"
    assert error.others == ()
    missing = fault(tmp_path, "nothing: a\n")
    assert [each.problem for each in (missing, *missing.others)] == [
        "unknown key",
        "this key is missing",
    ]


@pytest.mark.parametrize(
    ("found", "known", "said"),
    [
        ("shotz", ["shots", "seeds"], "; did you mean `shots`?"),
        ("mcd9", ["mcd1", "mcd2"], ""),
        ("nano-codegn-m", ["nano-codegen-m", "nano-opt-m"], "; did you mean `nano-codegen-m`?"),
        ("bm52", ["bm25", "dpp"], "; did you mean `bm25`?"),
        ("bfloat", ["bfloat16", "float32"], "; did you mean `bfloat16`?"),
        ("x", ["shots"], ""),
        ("", [], ""),
    ],
)
def test_the_nearest_known_name_is_offered(found, known, said) -> None:
    assert did_you_mean(found, known) == said


def test_faults_of_several_steps_are_raised_together() -> None:
    faults = Faults()
    faults.raise_any()
    for key in ("models[0]", "models[1]"):
        with faults.caught(key):
            raise InputError("no such model", place=Place(key="model"))
    with pytest.raises(InputError) as caught:
        faults.raise_any()
    assert str(caught.value) == ("models[0].model: no such model\nmodels[1].model: no such model")


def test_tabs_have_a_hint(tmp_path) -> None:
    error = fault(tmp_path, "name: a\nmodels:\n\t- {size: 1}\n")
    assert error.place.line == 3
    assert error.allowed == "spaces; YAML takes no tabs before a key"


def test_unreadable_files_are_named(tmp_path) -> None:
    assert "not UTF-8" in str(fault(tmp_path, b"name: \xff\xfe"))
    with pytest.raises(InputError, match="No such file"):
        read_spec(tmp_path / "none.yaml", Outer)


def test_a_file_is_read_up_to_a_mebibyte(tmp_path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_bytes(b"name: a\n" + b"#" * (2**20 - 8))
    assert read_spec(path, Outer).name == "a"
    for more in (b"#", "\u00e4".encode(), b"#" * 2**20):
        path.write_bytes(b"name: a\n" + b"#" * (2**20 - 9) + more * 2)
        with pytest.raises(InputError, match="too large") as caught:
            read_spec(path, Outer)
        assert caught.value.place.file == path
        assert "1,048,576 bytes" in str(caught.value.allowed)


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path) -> None:
    path = tmp_path / "outer.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="too large"):
        read_spec(path, Outer)


def test_many_values_in_a_small_file_are_refused_before_they_are_composed(tmp_path) -> None:
    start = time.process_time()
    assert "too large" in str(fault(tmp_path, "name: [" + "a," * 500_000 + "]"))
    assert time.process_time() - start < 10


def test_nothing_but_a_regular_file_is_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("fifo")
    for path in (tmp_path / "fifo", tmp_path / "folder", tmp_path / "link", Path(os.devnull)):
        with pytest.raises(InputError, match="regular file") as caught:
            read_spec(path, Outer)
        assert caught.value.place.file == path
        assert "save what a pipe" in str(caught.value.allowed)


def test_a_link_to_a_regular_file_is_read(tmp_path) -> None:
    (tmp_path / "outer.yaml").write_text(GOOD)
    (tmp_path / "link.yaml").symlink_to("outer.yaml")
    assert read_spec(tmp_path / "link.yaml", Outer).name == "a"


@pytest.mark.parametrize("name", ["a\0", "\ud800", "a" * 5000])
def test_a_path_that_cannot_be_is_told(name) -> None:
    with pytest.raises(InputError, match="cannot read the file") as caught:
        read_spec(Path(name), Outer)
    str(caught.value)


class Shelf(Spec):
    path_fields: ClassVar[tuple[str, ...]] = ("book", "more")

    book: str = "plain"
    title: str = "./title"
    more: tuple[str, ...] = ()
    lid: Path | None = None


class Room(Spec):
    path_fields: ClassVar[tuple[str, ...]] = ("key",)

    shelves: tuple[Shelf, ...] = ()
    key: Path | None = None


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("./book", True),
        ("../book", True),
        ("card.yaml", True),
        ("here/book", True),
        ("hub/model", False),
        ("plain", False),
        ("/abs/book", False),
        ("~/book", False),
        ("$SHELF/book", False),
        ("a\0/b", False),
        ("a" * 300 + "/b", False),
    ],
)
def test_paths_are_those_of_the_file_s_folder(tmp_path, text, is_path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "book").touch()
    (tmp_path / "plain").touch()
    expected = str(tmp_path / text) if is_path else text
    room = Room(shelves=(Shelf(book=text, more=("plain", text)),))
    found = anchored(room, tmp_path)
    assert found.shelves[0] == Shelf(book=expected, more=("plain", expected))
    assert anchored(found, tmp_path / "elsewhere") == found or ".." in expected


def test_a_path_stays_one_and_other_fields_stay(tmp_path) -> None:
    found = anchored(Room(key=Path("./a")), tmp_path)
    assert found.key == tmp_path / "a"
    assert found.model_fields_set == {"key"}
    plain = Room(shelves=(Shelf(),))
    assert anchored(plain, tmp_path) is plain


@pytest.mark.parametrize("path", ["$SHELF/a", "${SHELF}/a"])
def test_a_user_path_may_begin_with_a_variable(path, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SHELF", str(tmp_path))
    assert user_path(path) == tmp_path / "a"
    monkeypatch.setenv("SHELF", "")
    with pytest.raises(InputError, match="the environment variable SHELF is not set"):
        user_path(path)


def test_a_user_path_stands_for_a_home_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/a") == tmp_path / "a"
    assert user_path("a/~") == Path("a/~")


def test_a_home_folder_that_is_not_known_is_told(monkeypatch) -> None:
    with pytest.raises(InputError, match="there is no user `no-such-user`"):
        user_path("~no-such-user/a")

    def unknown(_: object) -> None:
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(InputError, match="the home folder is not known"):
        user_path("~/a")


def test_the_largest_numbers_are_read(tmp_path) -> None:
    path = tmp_path / "outer.yaml"
    path.write_text(f"name: a\nmodels: [{{size: {2**63 - 1}}}, {{size: {-(2**63)}}}]\n")
    assert [each.size for each in read_spec(path, Outer).models] == [2**63 - 1, -(2**63)]


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    assert "found:   (int that is too long to be shown)" in str(InputError("no", value=10**5000))


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


class Local(Spec):
    renamed: ClassVar[Mapping[str, str]] = {
        "tries": "max_attempts",
        "kind: api": "kind: openai",
        "batch": "kv_cache",
    }
    kind: Literal["local"] = "local"
    max_attempts: int = 8
    kv_cache: int | None = None


class Remote(Spec):
    kind: Literal["openai"]
    url: str


class Renamed(Spec):
    renamed: ClassVar[Mapping[str, str]] = {
        "pick: words": "pick: cover_utterance",
        "sides: dev": "sides: test",
        "x: cells": "kind: heatmap",
        "form": "language",
    }
    language: str
    pick: Literal["random", "cover_utterance"] | None = "random"
    sides: tuple[Literal["train", "test"], ...] = ()
    x: Literal["shots"] = "shots"
    models: tuple[Annotated[Local | Remote, Field(discriminator="kind")], ...] = ()

    @field_validator("models", mode="before")
    @classmethod
    def _local(cls, value: Any) -> Any:
        return [{"kind": "local"} | entry for entry in value]


@pytest.mark.parametrize(
    ("text", "line", "key", "problem"),
    [
        ("language: a\nmodels:\n- tries: 3", 3, "models[0].tries", "`tries` is now `max_attempts`"),
        ("language: a\nmodels: [{kind: local,\n batch: 1}]", 3, "models[0].batch", "`kv_cache`"),
        ("models:\n- {}\n- b: 1\n  kind: api", 4, "models[1].kind", "`kind: api` is now `kind: op"),
        ("language: a\npick: words", 2, "pick", "`pick: words` is now `pick: cover_utterance`"),
        ("language: a\nsides:\n- train\n- dev", 4, "sides[1]", "`sides: dev` is now `sides: test`"),
        ("language: a\n\nx: cells", 3, "x", "`x: cells` is now `kind: heatmap`"),
        ("form: sparql\nother: 2", 1, "form", "`form` is now `language`"),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(tmp_path, text, line, key, problem) -> None:
    path = tmp_path / "renamed.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_spec(path, Renamed)
    assert (caught.value.place.line, caught.value.place.key) == (line, key)
    assert problem in caught.value.problem
    assert (caught.value.value, caught.value.allowed) == (None, None)


@pytest.mark.parametrize("text", ["tries: 3", "pick: [words]", "pick: wards", "kind: api"])
def test_an_old_name_counts_where_it_stood_alone(tmp_path, text) -> None:
    path = tmp_path / "renamed.yaml"
    path.write_text(f"language: a\n{text}")
    with pytest.raises(InputError) as caught:
        read_spec(path, Renamed)
    assert "is now" not in str(caught.value)
