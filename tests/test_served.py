"""`sweeps/served.yaml`, with small models behind its servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from serving import ModelAnswers, serving

from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import OpenAISpec, expand
from icl_gap.models.shipped import shipped_folder
from icl_gap.results import Results
from icl_gap.schema import Record
from icl_gap.specs import check_spec, shipped

SERVED = read_sweep(shipped("sweeps") / "served.yaml")
STAND_INS: tuple[dict[str, object], ...] = (
    {"family": "nano-codegen", "sizes": ["m"], "training_seeds": [0]},
    {"family": "nano-bloom", "sizes": ["s"]},
)
NAMES = ("nano-codegen-m", "nano-bloom-s")


@pytest.fixture
def urls() -> Iterator[list[str]]:
    with ExitStack() as servers:
        folders = [shipped_folder(name) for name in NAMES]
        started = [
            servers.enter_context(serving(ModelAnswers(each, "prompt_logprobs")))
            for each in folders
        ]
        yield [server.url for server in started]


def slice_of_it(*changes: dict[str, object]) -> SweepSpec:
    fields = SERVED.model_dump(mode="json")
    models = [
        {**entry, **stand_in, **change}
        for entry, stand_in, change in zip(fields["models"], STAND_INS, changes, strict=True)
    ]
    small = {"datasets": ["scan"], "shots": [5], "seeds": [0], "limit": 8}
    return check_spec({**fields, **small, "models": models}, SweepSpec)


def requests(results: Results) -> dict[object, Record]:
    return {
        (cell.info.model, cell.info.query_split, cell.info.condition, record.query_id): record
        for cell in results
        for record in cell.records
    }


def test_its_models_are_known_by_their_family() -> None:
    opt, bloom = (model for entry in SERVED.models for model in expand(entry))
    assert isinstance(opt, OpenAISpec)
    assert isinstance(bloom, OpenAISpec)
    assert (opt.model, opt.tokenizer, opt.family) == ("facebook/opt-66b",) * 2 + ("opt",)
    assert (bloom.n_params, bloom.size_source) == (176_247_271_424, "counted")
    assert opt.base_url != bloom.base_url


def test_its_records_are_those_of_the_models_on_this_machine(urls, tmp_path) -> None:
    served = slice_of_it(*({"base_url": url} for url in urls))
    local = check_spec({**served.model_dump(mode="json"), "models": list(STAND_INS)}, SweepSpec)
    here = requests(evaluate_sweep(local, tmp_path / "local"))
    there = requests(evaluate_sweep(served, tmp_path / "served"))
    assert here.keys() == there.keys()
    assert len(here) == 2 * 4 * 8
    for at, ours in here.items():
        theirs = there[at]
        assert theirs.prompt_sha256 == ours.prompt_sha256
        assert theirs.prompt_tokens == ours.prompt_tokens
        for metric in ("raw", "canonical"):
            assert theirs.scores.get(metric) == ours.scores.get(metric)
        assert theirs.gold_logprob == pytest.approx(ours.gold_logprob, abs=1e-3)
    assert {record.scores["raw"] for record in here.values()} == {True, False}
