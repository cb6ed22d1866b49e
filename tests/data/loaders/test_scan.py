from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import load_card, load_split
from icl_gap.data.loaders._scan_members import (
    N_COMMANDS,
    SPLITS_BY_MEMBERSHIP,
    members_of,
    pack_members,
    unpack_members,
)
from icl_gap.data.loaders.scan import SPLITS, commands, generate_scan
from icl_gap.data.text_files import read_text
from icl_gap.errors import DataError
from icl_gap.schema import Example

FOLDERS = {"simple": "simple_split", "length": "length_split", "mcd": "mcd_split"} | {
    "addprim": "add_prim_split",
    "template": "template_split",
}


def published(data_root: Path, split: str, side: str) -> list[str]:
    folder = next(folder for start, folder in FOLDERS.items() if split.startswith(start))
    return read_text(data_root / "scan" / folder / f"tasks_{side}_{split}.txt.gz").splitlines()


def as_lines(examples: list[Example]) -> Counter[str]:
    return Counter(f"IN: {example.source} OUT: {example.target}" for example in examples)


def test_the_grammar_makes_every_command_once() -> None:
    assert len(commands()) == len({command for command, _ in commands()}) == N_COMMANDS


def test_the_grammar_equals_the_published_pairs(data_root: Path) -> None:
    lines = read_text(data_root / "scan" / "tasks.txt.gz").splitlines()
    assert {f"IN: {c} OUT: {' '.join(actions)}" for c, actions in commands()} == set(lines)


@pytest.mark.parametrize("split", SPLITS)
def test_splits_equal_the_published_files_with_their_repeats(data_root: Path, split: str) -> None:
    sides = generate_scan(split, action_prefix=True)
    assert as_lines(sides.train) == Counter(published(data_root, split, "train"))
    assert as_lines(sides.test) == Counter(published(data_root, split, "test"))


def test_shipped_membership_is_that_of_the_published_files(data_root: Path) -> None:
    numbers = {command: number for number, (command, _) in enumerate(commands())}
    made = {
        split: members_of(
            published(data_root, split, "train"), published(data_root, split, "test"), numbers
        )
        for split in SPLITS_BY_MEMBERSHIP
    }
    shipped = Path(generate_scan.__code__.co_filename).with_name("_scan_members.json")
    assert json.loads(shipped.read_text()) == made


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_the_size_on_its_card_and_ids_of_its_own(split: str) -> None:
    card = load_card("scan")
    benchmark = load_split(card, split)
    assert (len(benchmark.train), len(benchmark.test)) == (
        card.splits[split].train,
        card.splits[split].test,
    )
    ids = [example.id for example in (*benchmark.train, *benchmark.test)]
    assert len(set(ids)) == len(ids)
    assert benchmark.partial is None


def test_an_id_names_the_same_command_in_every_split() -> None:
    command = {f"scan-{number}": name for number, (name, _) in enumerate(commands())}
    for split in ("length", "mcd1", "addprim_jump"):
        for example in generate_scan(split).train:
            assert command[example.id.partition("#")[0]] == example.source


def test_repeats_of_the_bare_primitive_have_ids_of_their_own() -> None:
    repeats = [
        example for example in generate_scan("addprim_jump").train if example.source == "jump"
    ]
    assert len(repeats) == 1467
    assert repeats[1].id == f"{repeats[0].id}#2"
    assert {example.target for example in repeats} == {"JUMP"}


def test_actions_lose_their_prefix_unless_asked_for() -> None:
    card = load_card("scan")
    plain, prefixed = load_split(card, "length"), load_split(card, "length", action_prefix=True)
    for short, long in zip(plain.test, prefixed.test, strict=True):
        assert " ".join(f"I_{action}" for action in short.target.split()) == long.target
    assert plain.fingerprint != prefixed.fingerprint


def test_a_split_that_the_grammar_has_no_rule_for_is_refused() -> None:
    with pytest.raises(DataError, match="no such split"):
        generate_scan("mcd9")


@given(st.sets(st.integers(0, N_COMMANDS - 1)))
def test_membership_survives_packing(numbers: set[int]) -> None:
    assert unpack_members(pack_members(numbers)) == sorted(numbers)
