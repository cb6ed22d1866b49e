"""What a model takes of memory, estimated and as it is; and models that do not fit."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from tiny import SHARING, bpe, build_tiny, save_tiny
from toys import sweep
from transformers import DynamicCache
from transformers.models.opt import OPTConfig
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.errors import InferenceError, ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import (
    NearestExemplarSpec,
    RandomInitSpec,
    TransformersSpec,
    identify,
    load_model,
    measure_footprint,
)
from icl_gap.models.hf.checkpoint import load_weights
from icl_gap.models.hf.memory import (
    MemoryFit,
    _cgroup_room,
    format_bytes,
    free_memory,
    memory_fit,
)
from icl_gap.models.shipped import shipped_folder, shipped_models
from icl_gap.results import open_results

GIB = 1 << 30


def estimate(folder: Path | str, **options: Any) -> MemoryFit:
    spec = TransformersSpec.model_validate({"model": str(folder), **options})
    footprint = measure_footprint(spec, identify(spec))
    assert footprint is not None
    found = memory_fit(footprint)
    assert found is not None
    return found


def bytes_of(model: torch.nn.Module) -> int:
    tensors = (*model.parameters(), *model.buffers())
    states = (getattr(each, "quant_state", None) for each in tensors)
    scales = sum(state.absmax.nbytes for state in states if state is not None)
    return sum(each.nbytes for each in tensors) + scales


@pytest.mark.parametrize("dtype", ["float32", "float16", "auto"])
@pytest.mark.parametrize("name", shipped_models())
def test_weights_take_what_was_estimated(name: str, dtype: str) -> None:
    folder = shipped_folder(name)
    assert folder is not None
    model = load_weights(TransformersSpec(model=name, dtype=dtype), folder)
    assert estimate(name, dtype=dtype).weights == pytest.approx(bytes_of(model), rel=0.03)


@pytest.mark.parametrize("family", ["opt", "bloom", "codegen"])
@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_packed_weights_take_what_was_estimated(make_model: Any, family: str, bits: str) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    folder = make_model(family, hidden_size=128)
    options = {"model": str(folder), "quantization": bits, "device": "cpu"}
    model = load_weights(TransformersSpec.model_validate(options), folder)
    assert estimate(folder, quantization=bits).weights == pytest.approx(bytes_of(model), rel=0.03)


@pytest.mark.parametrize("architecture", SHARING)
def test_keys_and_values_take_what_was_estimated(architecture: str, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "tiny", architecture, bpe([]))
    model = build_tiny(architecture, bpe([]))
    tokens = torch.zeros(1, 7, dtype=torch.long)
    cache = DynamicCache()
    with torch.inference_mode():
        model(tokens, cache=cache, use_cache=True)
    kept = sum(each.keys.nbytes + each.values.nbytes for each in cache.layers)
    assert estimate(folder, kv_cache_tokens=7).keys_and_values == kept


@pytest.fixture
def giant(tmp_path: Path) -> Path:
    """OPT-175B as far as its configuration goes; of weights there is a stub."""
    folder = tmp_path / "opt-175b"
    OPTConfig(
        hidden_size=12288,
        word_embed_proj_dim=12288,
        ffn_dim=4 * 12288,
        num_hidden_layers=96,
        num_attention_heads=96,
    ).save_pretrained(folder)
    save_file({"stub": torch.zeros(1)}, folder / "model.safetensors", metadata={"format": "pt"})
    small = shipped_folder("nano-codegen-xxs")
    assert small is not None
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(small / name, folder)
    return folder


def test_a_giant_is_measured_without_weights(giant: Path) -> None:
    found = estimate(giant)
    assert found.weights == pytest.approx(4 * 174.6e9, rel=0.01)
    assert found.keys_and_values == 2 * 96 * 12288 * 4 * 8192
    assert estimate(giant, dtype="bfloat16").weights * 2 == pytest.approx(found.weights, rel=1e-6)
    packed = [estimate(giant, quantization=bits).weights for bits in ("8bit", "4bit")]
    assert packed[1] < packed[0] < found.weights / 3


def test_a_giant_is_refused_at_once_with_its_sizes(giant: Path, tmp_path: Path) -> None:
    spec = sweep("scan", models=[{"model": str(giant)}, "nearest"])
    began = time.monotonic()
    with pytest.raises(InferenceError, match="opt-175b does not fit in memory") as caught:
        evaluate_sweep(spec, tmp_path / "out")
    assert time.monotonic() - began < 20
    told = str(caught.value)
    assert "weights 650.5 GiB" in told
    assert "keys and values 72.0 GiB" in told
    assert "models[0]" in told
    assert "device_map: auto" in told
    assert {cell.info.model for cell in open_results(tmp_path / "out")} == {"nearest"}


def test_plan_shows_what_does_not_fit(giant: Path, tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    models = [{"model": str(giant)}, "nano-codegen-xxs", "nearest"]
    fields = {"name": "s", "datasets": ["scan"], "models": models, "shots": [0], "limit": 2}
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    shown = CliRunner().invoke(app, ["plan", str(path)], catch_exceptions=False)
    assert shown.exit_code == 0
    rows = [line for line in shown.output.splitlines() if "GiB" in line or "KiB" in line]
    assert "650.5 GiB" in rows[0]
    assert "72.0 GiB" in rows[0]
    assert "does not fit" in rows[0]
    assert "yes" in rows[1]


def test_the_disk_takes_weights_and_no_keys(giant: Path) -> None:
    spread = estimate(giant, device_map="auto", kv_cache_tokens=64)
    assert spread.fits
    assert spread.verdict == "partly on disk"
    assert not estimate(giant, device_map="auto", kv_cache_tokens=1 << 20).fits
    # Packed weights stay in memory.
    assert not estimate(giant, device_map="auto", quantization="8bit", kv_cache_tokens=64).fits


def test_max_memory_bounds_weights_alone() -> None:
    found = estimate("nano-codegen-m", device_map="auto", max_memory={"cpu": "10KiB"})
    assert (found.fits, found.verdict, found.room) == (True, "partly on disk", 10 << 10)
    assert found.memory > found.room


def test_untrained_models_are_measured_too() -> None:
    spec = RandomInitSpec(hidden_size=65536, layers=500)
    with pytest.raises(ModelError, match="does not fit in memory"):
        load_model(spec, identify(spec))
    assert measure_footprint(NearestExemplarSpec(), identify(NearestExemplarSpec())) is None


def test_what_is_packed_on_disk_is_not_guessed_at(make_model: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(make_model("opt"), tmp_path / "packed"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    spec = TransformersSpec(model=str(folder))
    footprint = measure_footprint(spec, identify(spec))
    assert footprint is not None
    assert footprint.weights is None
    assert memory_fit(footprint) is None


def test_no_such_device(make_model: Any) -> None:
    with pytest.raises(ModelError, match="no such device here"):
        estimate(make_model("opt"), device="cuda:99")


def group(folder: Path, limit: str, used: int, cache: int, names: tuple[str, str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n", encoding="utf-8")
    (folder / names[1]).write_text(f"{used}\n", encoding="utf-8")
    (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {cache}\n", encoding="utf-8")


def test_limits_of_cgroups_count_those_around_as_well(tmp_path: Path) -> None:
    two = ("memory.max", "memory.current", "inactive_file")
    group(tmp_path / "a", str(8 * GIB), 5 * GIB, GIB, two)
    group(tmp_path / "a" / "b", "max", GIB, 0, two)
    one = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    group(tmp_path / "memory", str(3 * GIB), GIB, 0, one)
    proc = tmp_path / "cgroup"
    proc.write_text("4:memory:/of/the/host\n1:cpu:/\n0::/a/b\n", encoding="utf-8")
    assert sorted(_cgroup_room(proc, tmp_path)) == [2 * GIB, 4 * GIB]
    assert list(_cgroup_room(tmp_path / "none", tmp_path)) == []


def test_free_memory_is_some_and_within_the_machine() -> None:
    import psutil

    assert 0 < free_memory() <= psutil.virtual_memory().total


def test_sizes_for_people() -> None:
    assert [format_bytes(n) for n in (5, 2048, 3 * GIB // 2, 5000 * GIB)] == [
        "5 B",
        "2.0 KiB",
        "1.5 GiB",
        "5,000.0 GiB",
    ]
