from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import DatasetCard, load_card, load_split
from icl_gap.data.examples import compute_fingerprint, sides_from_pairs
from icl_gap.errors import DataError
from icl_gap.schema import Example

LINES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5)
EXAMPLES = st.lists(st.builds(Example, LINES, LINES, LINES), max_size=3)


def test_a_plain_benchmark_needs_a_card_alone(
    cache_folder: Path, greetings: Path, plain: dict[str, Any]
) -> None:
    benchmark = load_split(DatasetCard.model_validate(plain), "plain", greetings)
    assert [(e.source, e.target) for e in benchmark.train] == [
        ("say hi", "HI"),
        ("say hi twice", "HI HI"),
        ("say hi", "HI"),
    ]
    digest = hashlib.sha256(b"say hi\nHI").hexdigest()[:16]
    assert [e.id for e in benchmark.train][::2] == [f"greetings-{digest}", f"greetings-{digest}#2"]
    assert benchmark.test[0].target == "HI HI HI"
    assert benchmark.partial is None
    assert cache_folder.is_dir()


@pytest.mark.usefixtures("cache_folder")
def test_a_line_without_a_target_is_named(greetings: Path, plain: dict[str, Any]) -> None:
    (greetings / "greetings" / "train.tsv").write_text("a\tb\n\nc\n")
    with pytest.raises(DataError, match="not a source and a target") as caught:
        load_split(DatasetCard.model_validate(plain), "plain", greetings)
    assert caught.value.place.line == 3


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_row_of_pairs_is_a_line(greetings: Path, plain: dict[str, Any], mark: str) -> None:
    rows = f"a{mark}b\tA{mark}B\r\nc\tC\r\nd\tD{mark}"
    (greetings / "greetings" / "train.tsv").write_bytes(rows.encode())
    benchmark = load_split(DatasetCard.model_validate(plain), "plain", greetings)
    assert [(e.source, e.target) for e in benchmark.train] == [
        ("a b", "A B"),
        ("c", "C"),
        ("d", "D"),
    ]


@pytest.mark.usefixtures("cache_folder")
def test_the_environment_names_the_data_folder(
    greetings: Path, plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(greetings))
    assert len(load_split(DatasetCard.model_validate(plain), "plain").test) == 1


@pytest.mark.usefixtures("cache_folder")
def test_sizes_are_held_against_the_card(greetings: Path, plain: dict[str, Any]) -> None:
    files = plain["splits"]["plain"]["files"]
    plain["splits"] = {
        "plain": {"files": files},
        "short": {"files": files, "train": 9, "test": 1},
        "long": {"files": files, "train": 2},
    }
    card = DatasetCard.model_validate(plain)
    assert load_split(card, "plain", greetings).partial is None
    assert load_split(card, "short", greetings).partial == "train 3 of 9"
    with pytest.raises(DataError, match="size"):
        load_split(card, "long", greetings)


@pytest.mark.usefixtures("cache_folder")
def test_an_empty_side_is_refused(greetings: Path, plain: dict[str, Any]) -> None:
    (greetings / "greetings" / "train.tsv").write_text("")
    with pytest.raises(DataError, match="train does not have the size"):
        load_split(DatasetCard.model_validate(plain), "plain", greetings)


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("name", ["cfq", "geoquery"])
def test_missing_data_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    card = load_card(name)
    for root in (None, tmp_path):
        with pytest.raises(DataError, match="not on this machine") as caught:
            load_split(card, card.default_split, root)
        assert f"icl-gap data fetch {name}" in str(caught.value.allowed)
        assert "ICL_GAP_DATA" in str(caught.value.allowed)


@pytest.mark.usefixtures("cache_folder")
def test_a_missing_file_is_named(small_cfq: Path) -> None:
    with pytest.raises(DataError, match=r"lacks splits/mcd3\.json"):
        load_split(load_card("cfq"), "mcd3", small_cfq)


def test_an_unknown_split_lists_the_known_ones() -> None:
    with pytest.raises(DataError) as caught:
        load_split(load_card("scan"), "mcd4")
    assert caught.value.value == "mcd4"
    assert "mcd3" in caught.value.allowed


@pytest.mark.parametrize(
    ("options", "key"),
    [({"postprocess": True}, "options.postprocess"), ({"action_prefix": "x"}, "options")],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], key: str) -> None:
    with pytest.raises(DataError) as caught:
        load_split(load_card("scan"), "mcd1", **options)
    assert key in str(caught.value.place)
    assert caught.value.allowed


@given(EXAMPLES, EXAMPLES, EXAMPLES, EXAMPLES)
def test_the_fingerprint_tells_benchmarks_apart(
    train: list[Example], test: list[Example], other_train: list[Example], other_test: list[Example]
) -> None:
    same = (train, test) == (other_train, other_test)
    assert (
        compute_fingerprint(train, test) == compute_fingerprint(other_train, other_test)
    ) == same


@given(EXAMPLES, EXAMPLES)
def test_ids_from_content_are_distinct_and_do_not_depend_on_what_else_is_there(
    train: list[Example], test: list[Example]
) -> None:
    pairs = [[(e.source, e.target) for e in side] for side in (train, test)]
    sides = sides_from_pairs("x", *pairs)
    examples = [*sides.train, *sides.test]
    assert len({example.id for example in examples}) == len(examples)
    for example in examples:
        alone = sides_from_pairs("x", [(example.source, example.target)], [])
        assert example.id.partition("#")[0] == alone.train[0].id


@pytest.mark.usefixtures("cache_folder")
def test_a_whole_source_goes_before_a_partial_one(greetings: Path, plain: dict[str, Any]) -> None:
    part = greetings / "part"
    part.mkdir()
    for name in ("train.tsv", "test.tsv"):
        (part / name).write_text("say ho\tHO\n")
    whole, partial = plain["sources"][0], {"kind": "local", "folder": "part"}
    card = DatasetCard.model_validate(plain | {"sources": [partial, whole]})
    assert load_split(card, "plain", greetings).partial is None
    alone = DatasetCard.model_validate(plain | {"sources": [partial, partial]})
    assert load_split(alone, "plain", greetings).partial == "train 1 of 3"
