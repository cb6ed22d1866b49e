from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import complete
from safetensors.torch import load_file, save_file
from toys import sweep
from transformers.utils import logging

from icl_gap.errors import ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, TransformersSpec, identify, load_model
from icl_gap.schema import Prompt

FAMILIES = ("opt", "bloom", "codegen")

Weights = dict[str, torch.Tensor]
PROMPT = Prompt("q", "", (), "walk twice")


@pytest.fixture
def opt(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("opt"), tmp_path / "opt"))


def loaded(folder: Path, **options: Any) -> Model:
    spec = TransformersSpec.model_validate({"model": str(folder), **options})
    return load_model(spec, identify(spec))


def change_weights(folder: Path, change: Callable[[Weights], Weights]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def by_hand(family: str, *, h: int, layers: int, vocabulary: int, context: int) -> tuple[int, int]:
    """All parameters, and those outside embeddings and output, from the architecture's papers."""
    norm, square = 2 * h, h * h
    match family:
        case "opt":  # learned positions, with 2 spare rows; output tied
            block = 4 * (square + h) + 2 * norm + (4 * square + 4 * h) + (4 * square + h)
            inner = layers * block + norm
            outer = vocabulary * h + (context + 2) * h
        case "bloom":  # a norm after the embedding; output tied
            block = 3 * square + 3 * h + square + h + 2 * norm + 8 * square + 5 * h
            inner = layers * block + 2 * norm
            outer = vocabulary * h
        case _:  # codegen: one norm a block, no bias in attention, output of its own with bias
            block = 4 * square + norm + 8 * square + 5 * h
            inner = layers * block + norm
            outer = vocabulary * h + vocabulary * h + vocabulary
    return inner + outer, inner


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_counted_from_the_weights(make_model: Any, family: str) -> None:
    folder = make_model(family)
    vocabulary = json.loads((folder / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    info = loaded(folder).info
    expected = by_hand(family, h=32, layers=2, vocabulary=vocabulary, context=2048)
    assert (info.n_params, info.n_params_non_embedding) == expected


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantized_weights_run_and_count_in_full(make_model: Any, bits: str) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    folder = make_model("opt", hidden_size=64)
    plain, quantized = loaded(folder), loaded(folder, quantization=bits, device="cpu")
    assert quantized.info == plain.info
    assert len(complete(quantized, [PROMPT] * 2, max_new_bytes=3)) == 2


QUANTIZED = {"8bit": 0.3, "4bit": 1.2}
"""The error of a gold answer's log-likelihood under quantization of a nano model, at most."""


# On a CPU, bitsandbytes packs 4 bits of matrices of 32, 64, … rows; not of this CodeGen's 80.
@pytest.mark.parametrize(
    ("name", "bits"),
    [("nano-codegen-m", "8bit"), ("nano-bloom-s", "4bit"), ("nano-bloom-s", "8bit")],
)
def test_a_quantized_model_answers_a_whole_sweep(tmp_path: Path, name: str, bits: str) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    plain = evaluate_sweep(sweep("scan", models=[name]), tmp_path / "plain")
    model = {"model": name, "quantization": bits, "device": "cpu"}
    packed = evaluate_sweep(sweep("scan", models=[model]), tmp_path / "packed")
    for one, other in zip(plain, packed, strict=True):
        assert one.info.key != other.info.key
        assert one.info.n_params == other.info.n_params
        assert other.info.provenance["shares_prefixes"]
        for mine, theirs in zip(one.records, other.records, strict=True):
            assert theirs.status == "scored"
            assert mine.prompt_sha256 == theirs.prompt_sha256
            assert theirs.gold_logprob == pytest.approx(mine.gold_logprob, abs=QUANTIZED[bits])
    logprobs = [[r.gold_logprob for cell in each for r in cell.records] for each in (plain, packed)]
    assert logprobs[0] != logprobs[1]  # it was quantized indeed
    assert np.corrcoef(logprobs)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "most", "device"),
    [
        ("nano-codegen-m", "600KiB", "cpu, disk"),
        ("nano-bloom-s", "400KiB", "cpu, disk"),
        ("nano-codegen-xxs", "1B", "disk"),
    ],
)
def test_weights_on_the_disk_change_no_record(
    tmp_path: Path, name: str, most: str, device: str
) -> None:
    plain = evaluate_sweep(sweep("scan", models=[name]), tmp_path / "plain")
    model = {"model": name, "device_map": "auto", "max_memory": {"cpu": most}}
    spread = evaluate_sweep(sweep("scan", models=[model]), tmp_path / "spread")
    assert {cell.info.provenance["device"].partition(" (")[0] for cell in spread} == {device}
    for one, other in zip(plain, spread, strict=True):
        assert other.info.provenance["shares_prefixes"]
        assert one.info.key == other.info.key
        assert one.info.n_params == other.info.n_params
        assert [replace(r, seconds=0) for r in one.records] == [
            replace(r, seconds=0) for r in other.records
        ]


def test_what_is_written_for_the_disk_goes_with_the_model(
    make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(make_model("codegen"), tmp_path / "codegen"))
    overflow = tmp_path / "overflow"
    overflow.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(overflow))
    expected = complete(loaded(folder), [PROMPT], max_new_bytes=5)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    most = {"cpu": "60KiB"}
    model: Model | None = loaded(folder, device_map="auto", max_memory=most)
    assert model is not None
    assert list(overflow.glob("icl-gap-*/*.safetensors"))  # pickles cannot be read piece by piece
    assert complete(model, [PROMPT], max_new_bytes=5) == expected
    model = None
    gc.collect()
    assert not list(overflow.iterdir())
    (folder / "pytorch_model.bin").write_bytes(b"torn")
    with pytest.raises(ModelError):
        loaded(folder, device_map="auto", max_memory=most)
    assert not list(overflow.iterdir())


def test_shared_weights_of_a_pickle_cannot_stay_on_the_disk(opt: Path) -> None:
    torch.save(load_file(opt / "model.safetensors"), opt / "pytorch_model.bin")
    (opt / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="as a pickle"):
        loaded(opt, device_map="auto", max_memory={"cpu": "60KiB"})
    assert loaded(opt, device_map="auto").info.n_params


def test_a_device_map_gives_the_same_answers(make_model: Any) -> None:
    folder = make_model("bloom")
    plain, mapped = loaded(folder, device="cpu"), loaded(folder, device_map="auto")
    answers = [complete(m, [PROMPT], max_new_bytes=5) for m in (plain, mapped)]
    assert answers[0] == answers[1]
    assert mapped.info.n_params == plain.info.n_params


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_other_precisions(make_model: Any, dtype: str) -> None:
    model = loaded(make_model("codegen"), dtype=dtype)
    assert len(complete(model, [PROMPT], max_new_bytes=3)) == 1


@pytest.mark.parametrize("device", ["cuda:99", "teapot"])
def test_no_such_device(opt: Path, device: str) -> None:
    with pytest.raises(ModelError, match="no such device here"):
        loaded(opt, device=device)


def without_one(weights: Weights) -> Weights:
    return {name: w for name, w in weights.items() if not name.endswith("fc1.weight")}


def with_one_more(weights: Weights) -> Weights:
    return {**weights, "model.decoder.layers.9.fc1.weight": torch.zeros(2, 2)}


def with_another_shape(weights: Weights) -> Weights:
    return {name: w[:-1].clone() if "fc1.bias" in name else w for name, w in weights.items()}


@pytest.mark.parametrize("change", [without_one, with_one_more, with_another_shape])
def test_weights_that_do_not_fit(opt: Path, change: Callable[[Weights], Weights]) -> None:
    change_weights(opt, change)
    with pytest.raises(ModelError, match=r"weights (are|have)|cannot load the model"):
        loaded(opt)


def test_buffers_of_old_versions_do_no_harm(opt: Path) -> None:
    change_weights(opt, lambda w: {**w, "model.decoder.layers.0.attn.bias": torch.zeros(2)})
    assert loaded(opt).info.n_params


def test_damaged_weights(opt: Path) -> None:
    spec = TransformersSpec(model=str(opt))
    identity = identify(spec)
    path = opt / "model.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelError, match="damaged weights"):
        load_model(spec, identity)


def test_pickled_weights_load_where_there_are_no_others(opt: Path) -> None:
    expected = loaded(opt).info
    torch.save(load_file(opt / "model.safetensors"), opt / "pytorch_model.bin")
    (opt / "model.safetensors").unlink()
    assert loaded(opt).info == expected


def test_code_in_the_folder_is_not_run(opt: Path) -> None:
    (opt / "own.py").write_text("raise SystemExit('ran')", encoding="utf-8")
    config = json.loads((opt / "config.json").read_text(encoding="utf-8"))
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"},
    }
    (opt / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="comes with Python code") as caught:
        loaded(opt)
    assert "trust_remote_code: true" in str(caught.value)


def test_a_model_of_the_hub_loads_from_the_cache(
    make_model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--org--tiny"
    shutil.copytree(make_model("opt"), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    cached, local = (
        loaded(Path("org/tiny")),
        loaded(make_model("opt"), name="org/tiny"),
    )
    assert cached.info == local.info
    (repository / "snapshots" / commit / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        loaded(Path("org/tiny"))


def test_transformers_is_left_as_it_was(opt: Path) -> None:
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    loaded(opt)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
