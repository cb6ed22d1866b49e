"""Sweep files: short forms, and faults that are found before anything is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from toys import write_toy

from icl_gap.data import load_card
from icl_gap.errors import InputError
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.models import NearestExemplarSpec, TransformersSpec
from icl_gap.specs import check_spec

MINIMAL = {"name": "s", "datasets": ["scan"], "models": ["nearest"]}


def test_short_forms_stand_for_long_ones() -> None:
    short = check_spec({**MINIMAL, "models": ["nearest", "facebook/opt-350m"]}, SweepSpec)
    assert short.datasets[0].name == "scan"
    assert short.models == (NearestExemplarSpec(), TransformersSpec(model="facebook/opt-350m"))


def test_the_defaults_are_the_paper_s() -> None:
    spec = check_spec(MINIMAL, SweepSpec)
    assert spec.shots == (1, 5, 10)
    assert spec.seeds == (0, 1, 2, 3, 4)
    assert spec.limit == 1045
    assert spec.selection == "oracle_coverage"
    assert spec.overflow == "error"


def test_a_sweep_is_read_from_a_file_a_shipped_name_or_plain_values(tmp_path: Path) -> None:
    from_file = tmp_path / "own.yaml"
    from_file.write_text(json.dumps(MINIMAL))
    spec = read_sweep(from_file)
    assert read_sweep(str(from_file)) == read_sweep(MINIMAL) == read_sweep(spec) == spec
    assert read_sweep("quickstart").name == "quickstart"
    assert read_sweep("open_models/cfq").name == "cfq"


def test_paths_of_a_sweep_are_those_of_its_folder(monkeypatch, tmp_path: Path) -> None:
    write_toy(tmp_path)
    (tmp_path / "models" / "mine").mkdir(parents=True)
    path = tmp_path / "s.yaml"
    models = ["./other", "models/mine", "facebook/opt-350m", "nano-codegen-m"]
    path.write_text(json.dumps({**MINIMAL, "datasets": ["toy.yaml", "scan"], "models": models}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sweep = read_sweep("../s.yaml")
    assert [each.name for each in sweep.datasets] == [
        str(tmp_path / "elsewhere/../toy.yaml"),
        "scan",
    ]
    assert [Path(each.model).name for each in sweep.models] == [Path(m).name for m in models]
    assert [Path(each.model).is_absolute() for each in sweep.models] == [True, True, False, False]
    assert load_card(sweep.datasets[0].name).name == "toy"


def test_a_sweep_that_is_nowhere_is_told_with_those_that_ship(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="there is no such sweep") as caught:
        read_sweep("quickstrt")
    assert "did you mean `quickstart`?" in str(caught.value)
    with pytest.raises(InputError, match="cannot read the file"):
        read_sweep("quickstart.yaml")
    (tmp_path / "quickstart").write_text("name: mine\n")  # a file of one's own goes first
    with pytest.raises(InputError, match="this key is missing"):
        read_sweep("quickstart")


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        ({"shotz": [1]}, "shotz", "unknown key"),
        ({"shots": "many"}, "shots", "a list"),
        ({"shots": []}, "shots", "at least 1"),
        ({"shots": [-1]}, "shots[0]", "0 or more"),
        ({"shots": [1, 1]}, "shots", "duplicate cells"),
        ({"seeds": [3, 3]}, "seeds", "duplicate cells"),
        ({"models": []}, "models", "at least 1"),
        ({"datasets": []}, "datasets", "at least 1"),
        ({"conditions": ["iid"]}, "conditions[0]", "'id', 'ood' or 'ood_matched'"),
        ({"models": ["nearest", "nearest"]}, "models", "entries 0 and 1"),
        ({"models": [{"model": "m", "dtype": "int3"}]}, "models[0].dtype", "float32"),
        ({"models": [{"model": "m", "dtpye": "x"}]}, "models[0].dtpye", "dtype"),
        ({"models": [{"kind": "gpt"}]}, "models[0]", "nearest"),
        ({"models": [3]}, "models[0]", "wrong type"),
        ({"models": {"a": 1}}, "models", "a list"),
        ({"datasets": [{"split": "mcd1"}]}, "datasets[0].name", "missing"),
        ({"limit": 0}, "limit", "1 or more"),
        ({"name": "../up"}, "name", "matches"),
        ({"shots": [True]}, "shots[0]", "whole number"),
        ({"shots": [2.0]}, "shots[0]", "whole number"),
        ({"seeds": ["3"]}, "seeds[0]", "whole number"),
        ({"models": [{"kind": "nearest_exemplar", "shots": []}]}, "models[0].shots", "at least 1"),
        ({"models": [{"kind": "nearest_exemplar", "shots": [1, 1]}]}, "models[0].shots", "twice"),
        (
            {"models": [{"model": "m", "trust_remote_code": 1}]},
            "models[0].trust_remote_code",
            "true",
        ),
        (
            {"models": [{"model": "m", "device": "cpu", "device_map": "auto"}]},
            "models[0]",
            "not both",
        ),
        ({"selection": "shared", "hold_out": "template"}, "", "hold_out: source"),
        (
            {"selection": "shared", "conditions": ["id", "ood", "ood_matched"]},
            "",
            "use another selection, or leave out `ood_matched`",
        ),
        ({"selection": "cover_structures"}, "selection", "is now `selection: cover_ls`"),
        ({"order": "chosen"}, "order", "is now `order: selection`"),
    ],
)
def test_faults_are_placed(change, key, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check_spec({**MINIMAL, **change}, SweepSpec)
    assert (caught.value.place.key or "") == key


@pytest.mark.parametrize("change", [{"shots": [-1]}, {"query_splits": ["dev"]}, {"seeds": ["x"]}])
def test_one_fault_is_told_as_one(change) -> None:
    with pytest.raises(InputError) as caught:
        check_spec({**MINIMAL, **change}, SweepSpec)
    assert "more)" not in str(caught.value)


def test_an_unknown_key_is_told_the_keys_of_its_kind() -> None:
    with pytest.raises(InputError) as caught:
        check_spec({**MINIMAL, "models": [{"model": "m", "dtyp": "x"}]}, SweepSpec)
    assert "dtype" in caught.value.allowed
    assert "hidden_size" not in caught.value.allowed
