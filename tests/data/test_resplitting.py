from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import icl_gap
from icl_gap.data import load_card, load_database, load_split
from icl_gap.data.resplitting import (
    MOST_ATOM_DIVERGENCE,
    Method,
    NewSplit,
    _counts,
    _divergence,
    _gradient,
    divide,
    save_split,
)
from icl_gap.diagnosis import atom_divergence, compound_divergence
from icl_gap.errors import DataError, InputError
from icl_gap.programs.divergence import trees_of
from icl_gap.programs.languages import LANGUAGES
from icl_gap.programs.templates import program_template
from icl_gap.schema import Benchmark, Example

METHODS = get_args(Method)
SCAN = icl_gap.load_benchmark("scan", "mcd1")
EVERY = {example.id for example in (*SCAN.train, *SCAN.test)}


@cache
def divided(method: Method) -> NewSplit:
    return divide(SCAN, LANGUAGES["tokens"], method, share=0.2, seed=0)


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=pytest.mark.slow if m == "mcd" else ()) for m in METHODS],
)
def test_every_example_is_on_one_side(method) -> None:
    found = divided(method)
    train, test = ({example.id for example in side} for side in (found.train, found.test))
    assert train | test == EVERY
    assert not train & test
    assert len(test) == pytest.approx(0.2 * len(EVERY), rel=0.02)
    again = divide(SCAN, LANGUAGES["tokens"], method, share=0.2, seed=0)
    assert again == found


def test_mcd_reaches_more_compound_divergence_than_any_other_and_keeps_the_atoms() -> None:
    found = {method: divided(method) for method in METHODS}
    mcd = found.pop("mcd")
    assert mcd.atom_divergence <= MOST_ATOM_DIVERGENCE
    assert mcd.compound_divergence > 5 * max(f.compound_divergence for f in found.values())


def test_the_longest_are_tested() -> None:
    found = divided("length")
    longest = max(len(example.target.split()) for example in found.train)
    assert all(len(example.target.split()) > longest for example in found.test)


def test_templates_are_on_one_side(data_root) -> None:
    geoquery = icl_gap.load_benchmark("geoquery", "standard", root=data_root)
    found = divide(geoquery, LANGUAGES["funql"], "template", share=0.3, seed=1)
    train, test = (
        {program_template(example.target) for example in side} for side in (found.train, found.test)
    )
    assert not train & test


def test_the_divergences_are_those_of_the_diagnosis() -> None:
    found = divided("mcd")
    pool, queries = (
        trees_of((example.target for example in side), LANGUAGES["tokens"])
        for side in (found.train, found.test)
    )
    assert found.atom_divergence == pytest.approx(atom_divergence(pool, queries))
    assert found.compound_divergence == pytest.approx(compound_divergence(pool, queries))


@given(st.integers(0, 10_000))
def test_the_pull_of_an_example_is_the_slope_of_the_divergence(seed) -> None:
    rng = np.random.default_rng(seed)
    programs = [" ".join(rng.choice(list("ABC"), 400)) for _ in range(30)]
    counts = _counts([LANGUAGES["tokens"].tree(program) for program in programs], (2,))
    is_test = np.arange(30) < 10
    pull = _gradient(counts, is_test, 0.1)
    example = int(rng.integers(30))
    moved = is_test.copy()
    moved[example] = not moved[example]
    change = _divergence(counts, moved, 0.1) - _divergence(counts, is_test, 0.1)
    step = 1 if moved[example] else -1
    assert change == pytest.approx(step * pull[example], abs=5e-4)


def test_a_split_is_saved_as_a_benchmark(tmp_path) -> None:
    card = load_card("scan")
    found = divide(SCAN, LANGUAGES["tokens"], "random", share=0.2, seed=0)
    path = save_split(found, card, "scan-random", tmp_path)
    loaded = icl_gap.load_benchmark(str(path))
    assert [(e.source, e.target) for e in loaded.test] == [(e.source, e.target) for e in found.test]
    assert len(loaded.train) == len(found.train)
    with pytest.raises(DataError, match="already"):
        save_split(found, card, "scan-random", tmp_path)


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", "a\0", "a\n", "\ud800", "a" * 101])
def test_a_split_is_saved_under_a_name(tmp_path, name) -> None:
    found = NewSplit(SCAN.train[:2], SCAN.test[:2], 0.0, 0.0)
    with pytest.raises(InputError) as caught:
        save_split(found, load_card("scan"), name, tmp_path / "in")
    assert caught.value.place.key == "name"
    assert list(tmp_path.rglob("*")) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path) -> None:
    (tmp_path / "file").touch()
    found = NewSplit(SCAN.train[:2], SCAN.test[:2], 0.0, 0.0)
    with pytest.raises(DataError, match="cannot write the split"):
        save_split(found, load_card("scan"), "new", tmp_path / "file")


def test_a_saved_split_does_not_write_through_links(tmp_path) -> None:
    found = NewSplit(SCAN.train[:2], SCAN.test[:2], 0.0, 0.0)
    (tmp_path / "in" / "new").mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "in" / "new" / "train.tsv").symlink_to(tmp_path / "mine")
    with pytest.raises(DataError, match="symbolic link"):
        save_split(found, load_card("scan"), "new", tmp_path / "in")
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(("name", "executable"), [("scan", True), ("geoquery", False)])
def test_a_card_s_programs_are_run_as_before_where_they_can_be(
    tmp_path, data_root, name, executable
) -> None:
    card = load_card(name)
    benchmark = load_split(card, card.default_split, data_root)
    found = divide(benchmark, LANGUAGES[card.language], "random", share=0.2, seed=0)
    saved = load_card(save_split(found, card, "new", tmp_path))
    assert saved.language == card.language
    database = load_database(saved, root=data_root)
    assert LANGUAGES[saved.language].is_executable(database) == executable


@pytest.mark.parametrize("share", [0.0, 1.0, 7.0])
def test_a_side_without_examples_is_refused(share) -> None:
    few = Benchmark("few", "few", (Example("a", "a", "A"),), (Example("b", "b", "B"),), "0")
    with pytest.raises(DataError, match="empty"):
        divide(few, LANGUAGES["tokens"], "random", share=share, seed=0)


def test_a_benchmark_is_divided_and_saved_in_one_call(tmp_path) -> None:
    found = icl_gap.resplit("scan", "length", tmp_path, of="mcd1", share=0.1)
    assert found == replace(
        divide(SCAN, LANGUAGES["scan"], "length", share=0.1, seed=0),
        card=tmp_path / "scan-length.yaml",
    )
    again = icl_gap.load_benchmark(str(found.card))
    assert [example.target for example in again.test] == [e.target for e in found.test]
    with pytest.raises(DataError, match="there is such a card already"):
        icl_gap.resplit("scan", "length", tmp_path, of="mcd1", share=0.1)


def test_a_method_that_is_none_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="there is no such method") as caught:
        icl_gap.resplit("scan", "lengths", tmp_path)  # type: ignore[arg-type]
    assert "mcd, length, template, random" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
