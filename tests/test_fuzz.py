"""Generated files of every kind that is read: no traceback, no hang, nothing written elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import TARGETS, OutsideError, examples, only_in
from hypothesis import given, settings
from hypothesis import strategies as st

from icl_gap.data.cards import DatasetCard
from icl_gap.evaluation.config import SweepSpec

HANG = timedelta(seconds=20)
"""Far beyond what a good file of this size takes."""

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(
        ["nearest", "scan", "opt", "../../etc", "/", "~", "id", "test", "\x1b[2J", "\u202e"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "name", "model", "family", "files"]) | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ICL_GAP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, place: Path) -> dict[str, bytes]:
    (place.parent / "x").write_text("a secret")
    made = examples(place)
    for name, target in TARGETS.items():  # what is imported may make folders of its own
        target(tmp_path_factory.mktemp("first"), made[name])
    return made


def test_the_guard_sees_what_is_read_beside_and_written_outside(place, good) -> None:
    assert good
    with only_in(place):
        (place / "here").write_text("a")
        with pytest.raises(OutsideError):
            (place.parent / "x").read_text()
        with pytest.raises(OutsideError):
            (place / ".." / "y").write_text("a")
        with pytest.raises(OutsideError):
            Path("/tmp/icl_gap_outside").mkdir()  # noqa: S108 (it must not come to be)
    (place.parent / "x").read_text()


def changed(data: st.DataObject, content: bytes) -> bytes:
    """A good file with a few bytes of it replaced, left out or repeated."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        piece = data.draw(
            st.binary(max_size=6)
            | st.sampled_from(
                [b"[" * 3000, b"&a *a", b"!!python/name:os.system", b"\n", content[start:end] * 3]
            )
        )
        content = content[:start] + piece + content[end:]
    return content


def with_values(data: st.DataObject, content: bytes, keys: list[str]) -> bytes:
    """A good YAML file with some of its values replaced by others."""
    value: dict[str, Any] = yaml.safe_load(content)
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        value[key] = data.draw(values)
    return json.dumps(value).encode()


def check_changed(place: Path, good: dict[str, bytes], name: str, data: st.DataObject) -> None:
    anything = data.draw(st.integers(0, 9)) == 0
    content = data.draw(st.binary(max_size=40)) if anything else changed(data, good[name])
    with only_in(place):
        TARGETS[name](place, content)


def check_odd_values(place: Path, good: dict[str, bytes], name: str, data: st.DataObject) -> None:
    content = with_values(data, good[name], list(SPECS[name].model_fields))
    with only_in(place):
        TARGETS[name](place, content)


SPECS = {"sweep": SweepSpec, "card": DatasetCard}
few = settings(max_examples=10, deadline=HANG)
many = settings(max_examples=200, deadline=HANG)


@pytest.mark.parametrize("name", TARGETS)
@few
@given(data=st.data())
def test_changed_files(place, good, name, data) -> None:
    check_changed(place, good, name, data)


@pytest.mark.parametrize("name", SPECS)
@few
@given(data=st.data())
def test_files_of_odd_values(place, good, name, data) -> None:
    check_odd_values(place, good, name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@many
@given(data=st.data())
def test_many_changed_files(place, good, name, data) -> None:
    check_changed(place, good, name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
@many
@given(data=st.data())
def test_many_files_of_odd_values(place, good, name, data) -> None:
    check_odd_values(place, good, name, data)
