"""Entries of a sweep that name families, and the models that they stand for."""

from __future__ import annotations

import pytest

from icl_gap.errors import InputError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.models import FamilySpec, OpenAISpec, expand, identify
from icl_gap.models.zoo import members
from icl_gap.specs import check_spec


def entry(**fields: object) -> FamilySpec:
    spec = check_spec({"name": "s", "datasets": ["scan"], "models": [fields]}, SweepSpec)
    (found,) = spec.models
    assert isinstance(found, FamilySpec)
    return found


def test_a_family_stands_for_its_sizes() -> None:
    models = expand(entry(family="opt"))
    assert [m.model for m in models] == [each.model for each in members("opt")]
    assert {m.family for m in models} == {"opt"}
    mono = expand(entry(family="codegen-mono", sizes=["6b", "350m"]))
    assert [m.model for m in mono] == ["Salesforce/codegen-6B-mono", "Salesforce/codegen-350M-mono"]
    assert {m.family for m in mono} == {"codegen-mono"}


def test_all_other_keys_go_to_each_of_them() -> None:
    options = {"dtype": "bfloat16", "device_map": "auto", "shots": [1, 5], "revision": "main"}
    for model in expand(entry(family="opt", sizes=["1.3b", "6.7b"], **options)):
        assert model.model_dump(mode="json", include=set(options)) == options
    (named,) = expand(entry(family="opt", sizes=["1.3b"], quantization="8bit", name="small"))
    assert (named.name, named.quantization) == ("small", "8bit")


def test_revisions_expand_like_sizes() -> None:
    steps = ["step1000", "step143000"]
    models = expand(entry(family="pythia", sizes=["410m", "70m"], revisions=steps, dtype="float16"))
    assert [(m.model, m.revision) for m in models] == [
        ("EleutherAI/pythia-410m", "step1000"),
        ("EleutherAI/pythia-410m", "step143000"),
        ("EleutherAI/pythia-70m", "step1000"),
        ("EleutherAI/pythia-70m", "step143000"),
    ]
    assert {m.dtype for m in models} == {"float16"}


def test_training_seeds_expand_like_sizes() -> None:
    every = expand(entry(family="polypythias"))
    assert len({m.model for m in every}) == len(every) == 5 * 9
    fields = {"family": "polypythias", "sizes": ["14m"], "training_seeds": [3, 1]}
    models = expand(entry(**fields, revisions=["step512"]))
    assert [(m.model, m.training_seed, m.revision) for m in models] == [
        ("EleutherAI/pythia-14m-seed3", 3, "step512"),
        ("EleutherAI/pythia-14m-seed1", 1, "step512"),
    ]
    served = expand(entry(**fields, base_url="http://127.0.0.1:1/v1"))
    assert [m.tokenizer for m in served] == [m.model for m in models]


@pytest.mark.parametrize("where", [{}, {"base_url": "http://127.0.0.1:1/v1"}])
def test_a_training_has_one_name_however_it_is_named(where) -> None:
    (model,) = expand(entry(family="nano-codegen", sizes=["m"], training_seeds=[0], **where))
    assert (model.model, model.training_seed) == ("nano-codegen-m", 0)
    found = identify(model)
    assert (found.name, found.training_seed) == ("nano-codegen-m", 0)


def test_checkpoints_of_a_family_have_names_of_their_own() -> None:
    fields = {"family": "polypythias", "sizes": ["14m"], "base_url": "http://127.0.0.1:1/v1"}
    models = expand(entry(**fields, training_seeds=[1, 2], tokenizer=None, revision="step512"))
    assert [identify(m).name for m in models] == [
        "EleutherAI/pythia-14m-seed1@step512",
        "EleutherAI/pythia-14m-seed2@step512",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"family": "opt", "sizes": ["125m"], "dtype": "float16"},
        {"family": "polypythias", "sizes": ["14m"], "training_seeds": [1, 2]},
        {"family": "pythia", "sizes": ["70m"], "revisions": ["step1", "step2"]},
    ],
)
def test_an_entry_is_kept_as_written(fields) -> None:
    assert entry(**fields).model_dump(mode="json") == {"kind": "zoo", **fields}


@pytest.mark.parametrize(
    ("fields", "key", "said"),
    [
        ({"family": "opps"}, "family", "opt, bloom, codegen-nl"),
        ({"family": "opt", "sizes": ["125m", "7b"]}, "sizes[1]", "125m, 350m, 1.3b"),
        ({"family": "opt", "sizes": []}, "sizes", "at least 1"),
        ({"family": "opt", "sizes": ["125m", "125m"]}, "", "twice"),
        ({"family": "opt", "dtype": "int3"}, "dtype", "bfloat16"),
        ({"family": "opt", "dtpye": "x"}, "dtpye", "dtype, device"),
        ({"family": "opt", "shots": [1, 1]}, "shots", "twice"),
        ({"family": "opt", "device": "cpu", "device_map": "auto"}, "", "not both"),
        ({"family": "opt", "name": "one"}, "", "pick one"),
        ({"family": "opt", "n_params": 7}, "", "one size: pick one"),
        ({"kind": "zoo", "family": "opt", "model": "m"}, "", "leave `model` out"),
        ({"family": "opt", "gguf": "m.gguf"}, "", "leave `gguf` out"),
        ({"kind": "zoo"}, "family", "missing"),
        ({"family": "codex", "max_cost": 1.0}, "", "price"),
        ({"family": "opt", "training_seeds": [1]}, "", "one training each.*polypythias"),
        ({"family": "polypythias", "training_seeds": [1, 1]}, "", "twice"),
        ({"family": "polypythias", "training_seeds": [0]}, "training_seeds[0]", "1, 2, 3"),
        ({"family": "polypythias", "training_seed": 1}, "", "name them by `training_seeds`"),
        ({"family": "polypythias", "sizes": ["14m"], "name": "one"}, "", "pick one"),
        ({"family": "pythia", "revisions": []}, "revisions", "at least 1"),
        ({"family": "pythia", "revisions": ["a", "a"]}, "", "twice"),
        ({"family": "pythia", "revisions": ["a"], "revision": "b"}, "", "not both"),
        (
            {"family": "pythia", "revisions": ["a"], "base_url": "http://h/v1"},
            "",
            "a server runs one revision",
        ),
        (
            {"family": "opt", "base_url": "http://h/v1", "dtype": "float16"},
            "",
            "not for models that",
        ),
        ({"family": "opt", "concurrency": 3}, "", "`concurrency` is for models that a server runs"),
        ({"family": "opt", "base_ulr": "http://h/v1"}, "base_ulr", "base_url"),
        ({"family": "opt", "batch_tokens": 9}, "batch_tokens", "is now `kv_cache_tokens`"),
        ({"family": "codex", "tries": 9}, "tries", "is now `max_attempts`"),
    ],
)
def test_faults_are_placed_in_the_entry(fields, key, said) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check_spec({"name": "s", "datasets": ["scan"], "models": ["nearest", fields]}, SweepSpec)
    assert caught.value.place.key == "models[1]" + (f".{key}" if key else "")
    assert "more)" not in str(caught.value)


def test_codex_is_asked_behind_an_api() -> None:
    entry = {"family": "codex", "base_url": "http://127.0.0.1:1/v1", "concurrency": 2}
    fields = {"name": "s", "datasets": ["scan"], "models": [entry]}
    (read,) = check_spec(fields, SweepSpec).models
    cushman, davinci = expand(read)
    assert isinstance(cushman, OpenAISpec)
    assert (cushman.model, cushman.family) == ("code-cushman-001", "codex")
    assert (cushman.base_url, cushman.concurrency) == ("http://127.0.0.1:1/v1", 2)
    assert isinstance(davinci, OpenAISpec)
    assert (davinci.n_params, davinci.size_source) == (175_000_000_000, "estimated")
