from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from icl_gap.data import list_cards, load, load_card
from icl_gap.errors import DataError, InputError

CardFile = Callable[..., Path]


@pytest.fixture
def card_file(tmp_path: Path, plain: dict[str, Any]) -> CardFile:
    """Write a plain benchmark's card with some keys changed."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "greetings.yaml"
        path.write_text(yaml.safe_dump(plain | changes))
        return path

    return write


def test_the_shipped_cards_are_valid_and_named_as_their_files() -> None:
    cards = list_cards()
    assert [card.name for card in cards] == [
        "cfq",
        "cogs",
        "geoquery",
        "gsm",
        "listops",
        "logic",
        "scan",
    ]
    assert cards == [load_card(card.name) for card in cards]


@pytest.mark.parametrize(
    ("name", "split", "canonical", "labels"),
    [
        ("cfq", "mcd1", "sparql", ("Question:", "Query:")),
        ("geoquery", "template", "funql", ("Question:", "Query:")),
        ("scan", "mcd1", "tokens", ("Command:", "Actions:")),
    ],
)
def test_what_the_protocol_fixes(
    name: str, split: str, canonical: str, labels: tuple[str, str]
) -> None:
    card = load_card(name)
    assert (card.default_split, card.canonical) == (split, canonical)
    assert (card.template["source_label"], card.template["target_label"]) == labels


@pytest.mark.parametrize("name", ["cfg", "../cfq", "", "CFQ"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(DataError) as caught:
        load_card(name)
    assert caught.value.value == name
    assert "cfq, cogs, geoquery, gsm, listops, logic, scan" in str(caught.value.allowed)


def test_a_card_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no such card"):
        load_card("nowhere/own.yaml")


@pytest.mark.usefixtures("cache_folder")
def test_data_beside_a_card_of_ones_own_is_found(
    card_file: CardFile, greetings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (greetings / "greetings").rename(card_file().parent / "greetings")
    monkeypatch.chdir(greetings)
    assert len(load(load_card(card_file()), "plain").train) == 3


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"default_split": "other"}, "default_split"),
        ({"template": {"instruction": "x"}}, "template"),
        ({"loader": "cfq"}, "members"),
        ({"loader": "scan"}, "grammar"),
        ({"loader": "json"}, "possible"),
        ({"sources": []}, "value"),
        ({"sources": [{"kind": "ftp"}]}, "possible kinds"),
        ({"extra": 1}, "unknown key"),
        ({"name": "../x"}, "value"),
        (
            {"splits": {"plain": {"files": {"train": "../train.tsv", "test": "t"}}}},
            "relative path",
        ),
        (
            {
                "sources": [
                    {"kind": "hub", "repo": "a/b", "source_column": "a", "target_column": "b"}
                ]
            },
            "config",
        ),
        (
            {
                "sources": [
                    {
                        "kind": "url",
                        "files": [{"url": "file:///etc/hosts", "sha256": "0" * 64, "to": "a"}],
                    }
                ]
            },
            "value",
        ),
    ],
)
def test_a_wrong_card_is_refused_with_its_place(
    card_file: CardFile, changes: dict[str, Any], problem: str
) -> None:
    path = card_file(**changes)
    with pytest.raises(InputError, match=problem) as caught:
        load_card(path)
    assert caught.value.place.file == path
