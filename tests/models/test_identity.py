from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icl_gap.errors import ModelError
from icl_gap.models import (
    NearestExemplarSpec,
    RandomInitSpec,
    TransformersSpec,
    identify,
    load_model,
)
from icl_gap.models.hf.folder import context_length
from icl_gap.models.identity import checkpoint_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("opt"), tmp_path / "tiny"))


def key(folder: Path, **options: Any) -> dict[str, Any]:
    return identify(TransformersSpec(model=str(folder), **options)).key


def test_what_a_folder_tells(folder: Path) -> None:
    identity = identify(TransformersSpec(model=str(folder)))
    assert identity.name == "tiny"
    assert (identity.family, identity.context_length, identity.trained) == ("opt", 2048, False)
    assert set(identity.key["files"]) >= {"config.json", "model.safetensors", "tokenizer.json"}
    json.dumps(identity.key)
    named = identify(TransformersSpec(model=str(folder), name="mine", family="f"))
    assert (named.name, named.family) == ("mine", "f")


def test_trainings_that_differ_in_their_seed_have_names_of_their_own(folder: Path) -> None:
    plain = identify(TransformersSpec(model=str(folder)))
    seeded = identify(TransformersSpec(model=str(folder), training_seed=3))
    named = identify(TransformersSpec(model=str(folder), training_seed=3, name="mine"))
    assert (plain.name, seeded.name, named.name) == ("tiny", "tiny-seed3", "mine")
    assert (plain.training_seed, seeded.training_seed, named.training_seed) == (None, 3, 3)
    assert plain.key == seeded.key == named.key  # a folder's files say all


def test_a_folder_may_state_its_training_seed(folder: Path) -> None:
    config = folder / "config.json"
    fields = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**fields, "icl_gap_training_seed": 2}), encoding="utf-8")
    found = identify(TransformersSpec(model=str(folder)))
    assert (found.name, found.training_seed) == ("tiny-seed2", 2)
    assert identify(TransformersSpec(model=str(folder), training_seed=3)).training_seed == 3


@pytest.mark.parametrize(
    ("revision", "seed", "name"),
    [
        (None, None, "a/m"),
        ("main", None, "a/m"),
        ("step1000", None, "a/m@step1000"),
        ("main", 0, "a/m-seed0"),
        ("step1000", 12, "a/m@step1000-seed12"),
    ],
)
def test_the_name_of_a_checkpoint(revision: str | None, seed: int | None, name: str) -> None:
    assert checkpoint_name("a/m", revision=revision, training_seed=seed) == name


def test_the_key_stays_when_the_folder_moves(folder: Path, tmp_path: Path) -> None:
    before = key(folder)
    moved = shutil.move(folder, tmp_path / "elsewhere")
    os.utime(Path(moved) / "model.safetensors", (1, 1))
    assert key(Path(moved)) == before


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_the_key_changes_with_one_byte(folder: Path, name: str) -> None:
    before = key(folder)
    content = bytearray((folder / name).read_bytes())
    if name == "model.safetensors":
        content[-1] ^= 1
    else:
        content += b" "
    (folder / name).write_bytes(content)
    assert key(folder) != before


def test_texts_do_not_count(folder: Path) -> None:
    before = key(folder)
    (folder / "README.md").write_text("new", encoding="utf-8")
    (folder / "LICENSE.txt").write_text("new", encoding="utf-8")
    assert key(folder) == before


def test_what_changes_a_result_is_in_the_key(folder: Path) -> None:
    options: list[dict[str, Any]] = [
        {},
        {"dtype": "bfloat16"},
        {"quantization": "8bit"},
        {"bos": "never"},
        {"trust_remote_code": True},
    ]
    keys = [json.dumps(key(folder, **chosen)) for chosen in options]
    assert len(set(keys)) == len(keys)
    assert key(folder, kv_cache_tokens=1) == key(folder, kv_cache_tokens=8)
    half = {"dtype": "float16"}
    assert key(folder, **half, kv_cache_tokens=1) != key(folder, **half, kv_cache_tokens=8)
    assert key(folder, device="cpu", shots=(1,), name="x") == key(folder)


def test_quantization_without_its_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icl_gap.models.hf.transformers_backend.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"^quantization: .*bitsandbytes, which is not installed"):
        key(folder, quantization="4bit")


def remove(name: str, folder: Path) -> None:
    (folder / name).unlink()


def index_elsewhere(folder: Path) -> None:
    remove("model.safetensors", folder)
    index = {"weight_map": {"a": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def lost_part(folder: Path) -> None:
    remove("model.safetensors", folder)
    index = {"weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


FAULTS = {
    "no config.json": lambda folder: remove("config.json", folder),
    "holds no weights": lambda folder: remove("model.safetensors", folder),
    "config.json is not JSON": lambda folder: (folder / "config.json").write_text("{"),
    "does not hold a JSON object": lambda folder: (folder / "config.json").write_text("[]"),
    "names no architecture": lambda folder: (folder / "config.json").write_text("{}"),
    "no file of weights beside it": index_elsewhere,
    "weights are missing: model-00001": lost_part,
}


@pytest.mark.parametrize("told", FAULTS)
def test_a_folder_that_is_not_whole(folder: Path, told: str) -> None:
    FAULTS[told](folder)
    with pytest.raises(ModelError, match=told) as caught:
        identify(TransformersSpec(model=str(folder)))
    assert str(folder) in str(caught.value)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        identify(TransformersSpec(model=str(tmp_path / "none")))


HUB = """
import sys
from icl_gap.errors import ModelError
from icl_gap.models import TransformersSpec, identify, load_tokenizer
spec = TransformersSpec(model=sys.argv[1])
try:
    found = identify(spec)
    print(found.name, found.key["repo"], found.key["commit"], found.context_length)
    print(load_tokenizer(spec, found)("ab"))
except ModelError as error:
    print(error)
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""


def ask_offline(model: str, cache: Path) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    command = [sys.executable, "-W", "error", "-c", HUB, model]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def test_a_hub_name_is_resolved_to_its_commit_offline(make_model: Any, tmp_path: Path) -> None:
    repository = tmp_path / "models--org--tiny"
    shutil.copytree(make_model("codegen"), repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    told = ask_offline("org/tiny", tmp_path)
    assert told.splitlines() == [f"org/tiny org/tiny {COMMIT} 2048", "(64, 65)"]


def test_a_hub_name_out_of_reach(tmp_path: Path) -> None:
    told = ask_offline("org/none", tmp_path)
    assert "no such folder, and not found on the hub" in told
    assert "org/none" in told
    assert "allowed:" in told


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 7}, 7),
        ({"n_positions": 8}, 8),
        ({"n_ctx": 9}, 9),
        ({"max_seq_len": 10}, 10),
        ({"max_seq_len": 10, "attn_config": {"alibi": True}}, None),
        ({"model_type": "bloom", "seq_length": 11}, None),
        ({"model_type": "falcon", "alibi": True, "max_position_embeddings": 12}, None),
        ({"text_config": {"max_position_embeddings": 13}}, 13),
    ],
)
def test_context_length(config: dict[str, Any], length: int | None) -> None:
    assert context_length(config) == length


def test_models_without_files() -> None:
    assert identify(NearestExemplarSpec()).key == {"kind": "nearest_exemplar", "likeness": 1}
    untrained = identify(RandomInitSpec(family="opt", layers=3, context_length=100))
    assert untrained.name == "opt-3x64"
    assert untrained.context_length == 100
    assert identify(RandomInitSpec(family="bloom")).context_length is None
    assert identify(RandomInitSpec(seed=1)).key != identify(RandomInitSpec(seed=2)).key


def test_an_untrained_model_needs_a_tokenizer_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no tokenizer"):
        identify(RandomInitSpec(tokenizer=tmp_path))


def test_models_share_a_tokenizer_where_all_its_files_are_equal(
    folder: Path, tmp_path: Path
) -> None:
    def tokens(path: Path, **options: Any) -> str | None:
        return identify(TransformersSpec(model=str(path), **options)).tokenizer

    other = Path(shutil.copytree(folder, tmp_path / "other"))
    assert tokens(other) == tokens(folder)
    assert tokens(other, bos="never") != tokens(folder)
    (other / "special_tokens_map.json").write_text('{"mask_token": "x"}', encoding="utf-8")
    assert tokens(other) != tokens(folder)
    families = ("opt", "bloom", "codegen")
    assert len({identify(RandomInitSpec(family=family)).tokenizer for family in families}) == 3


def test_a_folder_may_state_which_revision_it_holds(folder: Path) -> None:
    plain = identify(TransformersSpec(model=str(folder)))
    found = identify(TransformersSpec(model=str(folder), revision="step1000", training_seed=2))
    assert (found.name, found.revision) == ("tiny@step1000-seed2", "step1000")
    assert found.key == plain.key  # its files say all


def test_what_a_folder_states_comes_before_what_is_known(folder: Path) -> None:
    stated = {"training_tokens": 5, "n_params": 7, "n_params_non_embedding": 3}
    spec = TransformersSpec(model=str(folder), **stated)
    found, plain = identify(spec), identify(TransformersSpec(model=str(folder)))
    assert (found.training_tokens, found.n_params, found.size_source) == (5, 7, "stated")
    assert (plain.training_tokens, plain.n_params, plain.size_source) == (None, None, "counted")
    assert found.key == plain.key
    info = load_model(spec, found).info
    assert (info.n_params, info.n_params_non_embedding, info.training_tokens) == (7, 3, 5)
    assert info.size_source == "stated"


def test_a_folder_is_of_the_family_of_the_model_that_it_comes_from(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for base, family in {
        "EleutherAI/pythia-70m-seed3": "polypythias",
        "someone/Tuned-2-350m": "Tuned-2",
        "/home/someone/opt-350m": "tiny",
        "": "tiny",
    }.items():
        named = {**config, "_name_or_path": base, "icl_gap_family": None}
        path.write_text(json.dumps(named), encoding="utf-8")
        assert identify(TransformersSpec(model=str(folder))).family == family
        path.write_text(json.dumps({**named, "icl_gap_family": "mine"}), encoding="utf-8")
        assert identify(TransformersSpec(model=str(folder))).family == "mine"
