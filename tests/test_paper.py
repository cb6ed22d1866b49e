"""The 2022 paper's study: its grid in full, and a slice of it run with small models."""

from __future__ import annotations

from pathlib import Path

import pytest

import icl_gap
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.evaluation.planning import outline_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import ModelSpec, TransformersSpec, expand
from icl_gap.specs import check_spec, shipped

PAPER = read_sweep(shipped("sweeps") / "paper.yaml")
MODELS = [model for entry in PAPER.models for model in expand(entry)]
ARCHITECTURES = {"opt": "opt", "bloom": "bloom", "codegen-mono": "codegen"}


def stand_in(model: ModelSpec, tokenizer: Path) -> dict[str, object]:
    """A small untrained model of the same architecture, under the same name."""
    assert isinstance(model, TransformersSpec)
    assert model.family is not None
    family = ARCHITECTURES[model.family]
    context = {} if family == "bloom" else {"context_length": 2048}
    shape = {"hidden_size": 32, "layers": 1, "tokenizer": str(tokenizer), **context}
    return {"kind": "random_init", "name": model.model, "family": family, **shape}


def with_stand_ins(data_root: Path, models: list[ModelSpec], **changes: object) -> SweepSpec:
    gpt2 = data_root / "tokenizers" / "gpt2"
    fields = PAPER.model_dump(exclude={"models"}, mode="json")
    named = [stand_in(model, gpt2) for model in models]
    return check_spec({**fields, "models": named, **changes}, SweepSpec)


def test_the_models_are_the_paper_s() -> None:
    assert [m.model for m in MODELS if isinstance(m, TransformersSpec)] == [
        *(f"facebook/opt-{size}" for size in ("350m", "1.3b", "2.7b", "6.7b")),
        *(f"bigscience/bloom-{size}" for size in ("560m", "1b1", "1b7", "3b", "7b1")),
        *(f"Salesforce/codegen-{size}-mono" for size in ("350M", "2B", "6B")),
    ]


def test_the_protocol_is_the_paper_s() -> None:
    named = [(entry.name, entry.split) for entry in PAPER.datasets]
    assert named == [("cfq", "mcd1"), ("scan", "mcd1"), ("geoquery", "template")]
    assert (PAPER.shots, len(PAPER.seeds), PAPER.limit) == ((1, 5, 10), 5, 1045)
    assert (PAPER.selection, PAPER.canonical) == ("oracle_coverage", True)
    assert set(PAPER.query_splits) == {"test", "train"}
    assert set(PAPER.conditions) == {"id", "ood"}


def test_the_grid_is_planned_in_full(data_root) -> None:
    cells = outline_sweep(with_stand_ins(data_root, MODELS)).cells
    assert len(cells) == 12 * 3 * 2 * 2 * 3 * 5
    # Models of one shape are one here, as nothing but their names tells them apart.
    assert len({cell.info.key for cell in cells}) == 3 * 3 * 2 * 2 * 3 * 5
    asked = {(c.info.dataset, c.info.query_split): c.info.n_queries for c in cells}
    # All that the template split has of GeoQuery, and 1045 of the others.
    assert {count for (name, _), count in asked.items() if name != "geoquery"} == {1045}
    assert asked["geoquery", "test"] < asked["geoquery", "train"] < 1045


@pytest.mark.parametrize(("model", "family"), [(0, "opt"), (4, "bloom"), (9, "codegen")])
def test_a_slice_of_it_runs_on_the_three_benchmarks(model, family, data_root, tmp_path) -> None:
    slice_ = {"limit": 2, "shots": [1], "seeds": [0], "precision_check": 0, "canonical": False}
    results = evaluate_sweep(
        with_stand_ins(data_root, [MODELS[model]], **slice_), tmp_path / "results"
    )
    assert len(results) == 3 * 2 * 2
    frame = results.frame()
    assert len(frame) == len(results) * 2
    assert set(frame.status) == {"scored"}
    assert set(frame.family) == {family}
    assert set(frame.dataset) == {"cfq", "scan", "geoquery"}
    analysis = icl_gap.analyze(frame, resamples=100)
    assert len(analysis.points) == 3 * 3
    assert analysis.fits == ()  # the model is untrained


@pytest.mark.slow
def test_long_prompts_of_cfq_are_asked_with_fewer_shots_alike(data_root, tmp_path) -> None:
    fields = {"limit": 40, "shots": [10], "seeds": [0], "datasets": ["cfq"], "precision_check": 0}
    small = with_stand_ins(data_root, [MODELS[0]], **fields)
    frame = evaluate_sweep(small, tmp_path / "results").frame()
    shown = frame.pivot_table(index="query_id", columns="condition", values="shots_effective")
    assert (shown["id"] == shown["ood"]).all()
    assert shown["id"].min() < 10
