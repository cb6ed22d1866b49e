from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from toys import sweep

from icl_gap import models
from icl_gap.errors import StoreError
from icl_gap.models import UntrainedSpec, save_untrained
from icl_gap.precision import Compared, PrecisionCheck, read_checks
from icl_gap.run import run_sweep


@pytest.fixture
def coarse(tmp_path: Path) -> str:
    """A model that ends its answer in float32 alone, by a difference that bfloat16 rounds away."""
    folder = tmp_path / "coarse"
    save_untrained(UntrainedSpec(hidden_size=16, layers=1, heads=4), folder)
    path = folder / "model.safetensors"
    weights = {name: torch.zeros_like(w) for name, w in load_file(path).items()}
    weights["model.decoder.final_layer_norm.bias"][0] = 1.0
    table = weights["model.decoder.embed_tokens.weight"]
    end, worse = table.shape[0] - 2, 5
    table[worse, 0], table[end, 0] = 1.0, 1.0001
    save_file(weights, path, metadata={"format": "pt"})
    return str(folder)


def test_flips_are_found_and_kept(toy_card, tmp_path, coarse, monkeypatch) -> None:
    spec = sweep(
        toy_card,
        models=["nearest", {"model": coarse, "dtype": "bfloat16"}],
        shots=[0],
        seeds=[0],
        precision_check=6,
        predictions="full",
    )
    results = run_sweep(spec, tmp_path / "out")
    (check,) = read_checks(results.folder)
    assert (check.model, check.precision, len(check.compared)) == ("coarse", "bfloat16", 6)
    stored = {(c.info.key, r.query_id): r for c in results for r in c.records}
    for each in check.compared:
        assert each.raw[0] == stored[each.cell, each.query_id].raw
    conditions = [each.condition for each in check.compared]
    assert conditions.count("id") == conditions.count("ood") == 3
    monkeypatch.setattr(models, "load", None)  # nothing is asked twice
    run_sweep(spec, tmp_path / "out")
    assert read_checks(results.folder) == [check]


def test_the_sweeps_precision_and_float32_can_differ(toy_card, tmp_path, coarse) -> None:
    """The same model and prompt: what is written in float32 is not what bfloat16 writes."""
    found = {}
    for dtype in ("bfloat16", "float32"):
        spec = sweep(
            toy_card,
            models=[{"model": coarse, "dtype": dtype}],
            shots=[0],
            seeds=[0],
            limit=1,
            predictions="full",
        )
        found[dtype] = run_sweep(spec, tmp_path / dtype)[0].records[0].finish_reason
    assert found == {"bfloat16": "length", "float32": "eos"}


def compared(condition: str, as_run: bool, exact: bool) -> Compared:
    return Compared("c", f"{condition}{as_run}{exact}", condition, (as_run, exact), (as_run, exact))


def test_what_flips_do_to_the_gap() -> None:
    check = PrecisionCheck(
        "m",
        "float16",
        (
            compared("id", True, True),
            compared("id", False, True),
            compared("ood", True, False),
            compared("ood", False, False),
        ),
    )
    assert check.flips() == (1, 1)
    assert check.gaps() == (0.0, 1.0)
    assert str(check) == (
        "precision: m in float16, 4 requests again in float32: 2 flips (1 right in float32 alone, "
        "1 as run alone); gap of these 0.000 as run, 1.000 in float32"
    )


def test_a_gap_of_nothing_is_undefined() -> None:
    wrong = PrecisionCheck("m", "float16", (compared("id", False, False),))
    assert wrong.gaps() == (None, None)
    assert "undefined as run" in str(wrong)


def test_a_damaged_file_is_named(tmp_path) -> None:
    (tmp_path / "precision.json").write_text("[{}]")
    with pytest.raises(StoreError, match=r"precision\.json: damaged"):
        read_checks(tmp_path)
    assert read_checks(tmp_path / "none") == []
