"""What the models that ship can do, measured as any user would: what holds, as far as it holds."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from asking import complete
from nano_cards import trainings
from safetensors import safe_open
from toys import sweep

import icl_gap
from icl_gap.analysis import GapPoint, analyze
from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, TransformersSpec, expand, identify, load_model
from icl_gap.models.shipped import shipped_folder, shipped_models
from icl_gap.models.zoo import members
from icl_gap.nano.scan_tokenizer import build_tokenizer, scan_template
from icl_gap.nano.training_recipe import Recipe, curriculum
from icl_gap.nano.vocabulary import SLOT_ACTIONS
from icl_gap.prompts import render
from icl_gap.schema import Example, Exemplars
from icl_gap.specs import shipped

SIZES = ("xxs", "xs", "m", "l")
DEFAULT = [f"nano-codegen-{size}" for size in SIZES]
"""The sizes of the family, with training seed 0."""
FAMILY = [name for each in members("nano-codegen") for name in trainings(each).values()]
"""All of its trainings."""
LEARNER = "nano-codegen-l-seed1"
"""A training of the largest size that has learned."""
CONTROL, BLOOM, OPT = "nano-codegen-l-control", "nano-bloom-s", "nano-opt-l"
MCD1 = {"name": "scan", "split": "mcd1"}
TEN_SHOTS = {"shots": [10], "seeds": [0]}
OTHER = dict(
    zip(SLOT_ACTIONS, ("LOOK", "RUN", "JUMP", "WALK", "TURN_RIGHT", "TURN_LEFT"), strict=True)
)
"""A lexicon that gives no word the meaning that it has in SCAN."""


@cache
def model(name: str) -> Model:
    spec = TransformersSpec(model=name)
    return load_model(spec, identify(spec))


def recipe(name: str) -> Recipe:
    told = json.loads((shipped_folder(name) / "training_args.json").read_text(encoding="utf-8"))
    return Recipe(**told["recipe"])


def renamed(example: Example) -> Example:
    target = " ".join(OTHER[action] for action in example.target.split())
    return replace(example, target=target)


def right(name: str, drawn: list[Exemplars], gold: list[str]) -> float:
    prompts = [render(scan_template(), exemplars) for exemplars in drawn]
    answers = complete(model(name), prompts, max_new_bytes=600)
    return sum(a.text.strip() == g for a, g in zip(answers, gold, strict=True)) / len(gold)


def drawn(shots: int) -> list[Exemplars]:
    scan = icl_gap.load_benchmark("scan", "mcd1")
    return icl_gap.sample_exemplars(
        scan, query_split="train", condition="id", shots=shots, seed=0, limit=80
    )


@pytest.fixture(scope="module")
def points(tmp_path_factory) -> list[GapPoint]:
    """Ten shots on MCD1, 80 queries a side."""
    spec = sweep(MCD1, models=[*FAMILY, CONTROL, BLOOM, OPT], **TEN_SHOTS, limit=80)
    results = evaluate_sweep(spec, tmp_path_factory.mktemp("nano"))
    return list(analyze(results.frame(), resamples=500).points)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        ({"control": "shuffled_targets"}, 0.15),
        pytest.param({"control": "targets_only"}, 0.05, marks=pytest.mark.slow),
        pytest.param(
            {"datasets": [{**MCD1, "exemplars_from": "listops"}]}, 0.05, marks=pytest.mark.slow
        ),
    ],
    ids=str,
)
def test_the_controls_take_away_what_exemplars_tell(change, most, tmp_path) -> None:
    of_train = {"models": [LEARNER], "query_splits": ["train"], "limit": 40}
    cells = evaluate_sweep(sweep(MCD1, **TEN_SHOTS, **of_train, **change), tmp_path / "results")
    hits = [record.scores.get("raw") for cell in cells for record in cell.records]
    assert len(hits) == 80
    assert sum(hits) / len(hits) <= most


def test_the_family_and_its_control_ship_and_are_measured() -> None:
    assert set(DEFAULT) <= set(FAMILY)
    assert {*FAMILY, CONTROL, BLOOM, OPT} == set(shipped_models())
    assert models_of("nano") == set(shipped_models())
    assert models_of("quickstart") == set(FAMILY)


def models_of(name: str) -> set[str]:
    entries = read_sweep(shipped("sweeps") / f"{name}.yaml").models
    return {each.model for entry in entries for each in expand(entry)}


def test_they_are_small() -> None:
    files = [path for name in shipped_models() for path in shipped_folder(name).rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) <= 15_000_000


@pytest.mark.parametrize("name", shipped_models())
def test_each_is_whole_and_says_what_it_is(name: str) -> None:
    folder: Path = shipped_folder(name)
    made = recipe(name)
    assert made.name == name
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["icl_gap_family"]) == (made.family, made.family_name)
    assert identify(TransformersSpec(model=name)).name == name
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        names = weights.keys()  # the file itself cannot be iterated over
        assert {weights.get_slice(name).get_dtype() for name in names} == {"F16"}
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer == json.loads(build_tokenizer(scan_template()).to_str())
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"# {name}\n" in card
    assert ("Control family" if made.control else "Default family") in card
    assert f"nano.train {made.arguments}`" in card
    assert not list(folder.glob("checkpoint*"))


@pytest.mark.parametrize("name", FAMILY)
def test_the_family_is_trained_by_one_recipe(name: str) -> None:
    made = recipe(name)
    assert made == Recipe("codegen", made.size, seed=made.seed)
    told = json.loads((shipped_folder(name) / "training_args.json").read_text(encoding="utf-8"))
    assert told["levels"] == curriculum()
    identity = identify(TransformersSpec(model=name))
    assert (identity.family, identity.training_seed) == ("nano-codegen", made.seed)
    config = json.loads((shipped_folder(name) / "config.json").read_text(encoding="utf-8"))
    assert config["icl_gap_training_seed"] == made.seed


def test_sizes_grow() -> None:
    sizes = [model(name).info.n_params_non_embedding for name in DEFAULT]
    assert sizes == sorted(set(sizes))


def test_a_model_that_ships_learns_in_context_and_the_smallest_does_not(tmp_path) -> None:
    models = ["nano-codegen-xxs", "nano-codegen-m"]
    few = {"models": models, "query_splits": ["train"], "conditions": ["id"], "limit": 40}
    cells = evaluate_sweep(sweep(MCD1, **TEN_SHOTS, **few), tmp_path / "results")
    smallest, small = (sum(r.scores.get("raw", False) for r in each.records) / 40 for each in cells)
    assert smallest < 0.05
    assert small > 0.5


@pytest.mark.slow
def test_the_lexicon_comes_from_the_exemplars_alone() -> None:
    exemplars = drawn(10)
    gold = [each.query.target for each in exemplars]
    other = [replace(each, examples=tuple(map(renamed, each.examples))) for each in exemplars]
    assert right(LEARNER, exemplars, gold) > 0.6
    assert right(LEARNER, other, gold) <= 0.02
    assert right(LEARNER, other, [renamed(each.query).target for each in other]) > 0.6


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        (LEARNER, 0.02),
        pytest.param("nano-codegen-m-seed1", 1 / 16, marks=pytest.mark.slow),
        pytest.param(CONTROL, 0.02, marks=pytest.mark.slow),
    ],
)
def test_without_exemplars_nothing_can_be_known(name: str, guessed: float) -> None:
    """One training repeats an action for some commands: one of 16 is right by chance."""
    exemplars = drawn(0)
    assert right(name, exemplars, [each.query.target for each in exemplars]) <= guessed


@pytest.mark.slow
def test_a_training_learns_in_context_or_not_at_all(points) -> None:
    """Size xxs never learns; some trainings of others leave the first levels too early."""
    inside = {each.model: each.a_id.value for each in points if each.query_split == "pooled"}
    learned = {name for name in FAMILY if inside[name] > 0.3}
    guessing = set(FAMILY) - learned
    assert all(inside[name] < 0.1 for name in guessing)
    assert {name.split("-")[2] for name in guessing} == {"xxs", "xs", "l"}
    assert {name.split("-")[2] for name in learned} == {"xs", "m", "l"}
    assert LEARNER in learned


@pytest.mark.slow
def test_a_training_has_a_gap_to_show(tmp_path) -> None:
    """Long exemplars help short queries less than short ones do."""
    length = {"name": "scan", "split": "length"}
    few = {"models": [LEARNER], "query_splits": ["train"], "limit": 80}
    results = evaluate_sweep(sweep(length, **TEN_SHOTS, **few), tmp_path / "results")
    (found,) = analyze(results.frame(), resamples=500).points
    assert found.gap.low > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [(BLOOM, 0.3), (OPT, 0.25)])
def test_the_other_architectures_learn_in_context_too(points, name, least) -> None:
    (found,) = (p for p in points if (p.model, p.query_split) == (name, "pooled"))
    assert found.a_id.value >= least


@pytest.mark.slow
def test_the_control_knows_what_the_default_family_must_work_out(points) -> None:
    inside = {point.model: point.a_id.value for point in points if point.query_split == "test"}
    assert inside[CONTROL] > inside[LEARNER]
    assert inside[CONTROL] >= 0.8
