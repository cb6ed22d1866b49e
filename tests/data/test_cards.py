from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from icl_gap.data import list_cards, load_card, load_split
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
    ("name", "split", "language", "labels"),
    [
        ("cfq", "mcd1", "sparql", ("Question:", "Query:")),
        ("geoquery", "template", "funql", ("Question:", "Query:")),
        ("scan", "mcd1", "scan", ("Command:", "Actions:")),
    ],
)
def test_what_the_protocol_fixes(
    name: str, split: str, language: str, labels: tuple[str, str]
) -> None:
    card = load_card(name)
    assert (card.default_split, card.language) == (split, language)
    assert (card.template["source_label"], card.template["target_label"]) == labels


@pytest.mark.parametrize("name", ["cfg", "../cfq", "", "CFQ"])
def test_an_unknown_name_lists_what_there_is(name: str) -> None:
    with pytest.raises(DataError) as caught:
        load_card(name)
    assert caught.value.value == name
    assert "allowed: cfq, cogs, geoquery, gsm, listops, logic, scan, or" in str(caught.value)


def test_a_card_that_is_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "card.yaml")
    with pytest.raises(InputError, match="a FIFO") as caught:
        load_card(tmp_path / "card.yaml")
    assert caught.value.place.file == tmp_path / "card.yaml"


def test_a_card_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no such card"):
        load_card("nowhere/own.yaml")


@pytest.mark.usefixtures("cache_folder")
def test_data_beside_a_card_of_ones_own_is_found(
    card_file: CardFile, greetings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (greetings / "greetings").rename(card_file().parent / "greetings")
    monkeypatch.chdir(greetings)
    assert len(load_split(load_card(card_file()), "plain").train) == 3


NO_NAMES = ["", ".", "..", "../up", "a/b", "/etc", "a\0", "a\n", "a\nb", "a b", "\ud800", "-a", "ä"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_split_is_named_by_a_name(card_file: CardFile, plain: dict[str, Any], name: str) -> None:
    (split,) = plain["splits"].values()
    path = card_file(splits={"plain": split, name: split})
    with pytest.raises(InputError) as caught:
        load_card(path)
    assert caught.value.place.file == path
    assert "splits" in str(caught.value.place.key)
    assert "[key]" not in str(caught.value.place.key)


@pytest.mark.parametrize("name", [*NO_NAMES, "a.b", "A"])
def test_a_benchmark_is_named_by_a_name(card_file: CardFile, name: str) -> None:
    path = card_file(name=name)
    with pytest.raises(InputError) as caught:
        load_card(path)
    assert (caught.value.place.file, caught.value.place.key) == (path, "name")


@pytest.mark.parametrize("name", ["a\0", "a\n", "\ud800", "\x1b[2J", "a\x85"])
@pytest.mark.parametrize("where", ["folder", "files", "to", "split", "config", "repo"])
def test_a_path_in_a_card_is_plain_text(card_file: CardFile, where: str, name: str) -> None:
    file = {"url": "https://example.com/a", "sha256": "0" * 64, "to": "a"}
    hub = {"kind": "hub", "repo": "a/b", "source_column": "a", "target_column": "b"}
    changes: dict[str, dict[str, Any]] = {
        "folder": {"sources": [{"kind": "local", "folder": name}]},
        "files": {"sources": [{"kind": "local", "folder": "a", "files": {name: "0" * 64}}]},
        "to": {"sources": [{"kind": "url", "files": [file | {"to": name}]}]},
        "split": {"splits": {"plain": {"files": {"train": name, "test": "t"}}}},
        "config": {"sources": [hub], "splits": {"plain": {"config": name}}},
        "repo": {"sources": [hub | {"repo": name}], "splits": {"plain": {"config": "a"}}},
    }
    path = card_file(**changes[where])
    with pytest.raises(InputError) as caught:
        load_card(path)
    assert caught.value.place.file == path


@pytest.mark.parametrize("config", ["..", ".", "a/b", "/a", ""])
def test_a_configuration_is_no_path(card_file: CardFile, config: str) -> None:
    hub = {"kind": "hub", "repo": "a/b", "source_column": "a", "target_column": "b"}
    path = card_file(sources=[hub], splits={"plain": {"config": config}})
    with pytest.raises(InputError) as caught:
        load_card(path)
    assert str(caught.value.place.key).startswith("splits.plain.config")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://example.com/a", "https://"),
        ("http://10.0.0.1/a", "https://"),
        ("https://me:secret@example.com/a", "password"),
        ("https://me@example.com/a", "user name"),
        ("https:///a", "host"),
        ("https://[::1/a", "IPv6"),
        ("https://example.com:99999/a", "Port|port"),
        ("https://exämple.com/a", "ASCII"),
        ("https://example.com/\0", "ASCII"),
    ],
)
def test_an_address_that_nothing_may_come_from_is_refused(
    card_file: CardFile, address: str, problem: str
) -> None:
    file = {"url": address, "sha256": "0" * 64, "to": "a"}
    path = card_file(sources=[{"kind": "url", "files": [file]}])
    with pytest.raises(InputError, match=problem) as caught:
        load_card(path)
    assert caught.value.place.key == "sources[0].files[0].url"


@pytest.mark.parametrize(
    "address",
    ["https://example.com/a?b=c", "http://127.0.0.1:80/a", "http://localhost/", "http://[::1]/"],
)
def test_an_address_of_a_safe_server_is_taken(card_file: CardFile, address: str) -> None:
    file = {"url": address, "sha256": "0" * 64, "to": "a"}
    assert load_card(card_file(sources=[{"kind": "url", "files": [file]}])).sources


@pytest.mark.parametrize(
    "places",
    [[".", "a"], ["", "a"], ["./", "a"], ["a", "a"], ["a", "./a"], ["a", "a/b"], ["a/b", "a"],
     ["fetched.json", "a"], ["a", "fetched.json/b"]],
)  # fmt: skip
@pytest.mark.parametrize("unpack", [True, False])
def test_no_file_takes_the_place_of_another(
    card_file: CardFile, places: list[str], unpack: bool
) -> None:
    files = [
        {"url": "https://example.com/a", "sha256": "0" * 64, "to": place, "unpack": unpack}
        for place in places
    ]
    path = card_file(sources=[{"kind": "url", "files": files}])
    with pytest.raises(InputError, match=r"of its own|place of another|receipt") as caught:
        load_card(path)
    assert str(caught.value.place.key).startswith("sources[0]")


@pytest.mark.parametrize(
    "name", ["a" * 5000 + ".yaml", "a\0.yaml", "\ud800.yaml", "~nobody-of-that-name/a.yaml", "a\0"]
)
def test_a_card_s_path_that_cannot_be_is_told(name: str) -> None:
    with pytest.raises(InputError, match="no such") as caught:
        load_card(name)
    str(caught.value)


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("folder", ["~nobody-of-that-name/a", "a" * 5000])
def test_a_folder_that_cannot_be_is_not_on_this_machine(
    card_file: CardFile, folder: str, tmp_path: Path
) -> None:
    card = load_card(card_file(sources=[{"kind": "local", "folder": folder}]))
    with pytest.raises(DataError, match="not on this machine"):
        load_split(card, "plain", tmp_path)


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


@pytest.mark.parametrize(("key", "value"), [("canonical", "funql"), ("execution", "geobase")])
def test_an_old_key_of_the_language_gives_its_new_name(
    card_file: CardFile, key: str, value: str
) -> None:
    with pytest.raises(InputError, match=f"`{key}` is now `language`") as caught:
        load_card(card_file(**{key: value}))
    assert caught.value.place.key == key


def test_an_unknown_language_lists_what_there_is(card_file: CardFile) -> None:
    with pytest.raises(InputError, match=r"must be one of .*funql.*sparql") as caught:
        load_card(card_file(language="klingon"))
    assert caught.value.place.key == "language"
