"""Faults of models that really happen: what fails is told, and all else finishes."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from toys import sweep
from transformers.models.opt.modeling_opt import OPTDecoder
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.errors import InferenceError, ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import TransformersSpec, identify, load_model
from icl_gap.results import Results, open_results
from icl_gap.schema import Record

OTHER = "sound-bloom"
SOUND = {"kind": "random_init", "family": "bloom", "name": OTHER}
Forward = Callable[..., Any]


@pytest.fixture
def opt(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("opt"), tmp_path / "opt"))


@pytest.fixture
def codegen(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("codegen"), tmp_path / "codegen"))


@pytest.fixture
def both(toy_card: str) -> Callable[..., SweepSpec]:
    """A sweep of a model that a test breaks, and of another."""

    def make(folder: Path, **changes: object) -> SweepSpec:
        broken = {"model": str(folder), "name": "broken", "kv_cache_tokens": 64}
        return sweep(toy_card, **{"models": [broken, SOUND], "seeds": [0], **changes})

    return make


def records(results: Results, model: str) -> dict[tuple[str, str], Record]:
    """A model's answers, by cell and query, without what is outside comparisons."""
    return {
        (cell.info.key, record.query_id): replace(record, seconds=0, kv_cache_tokens=None)
        for cell in results
        if cell.info.model == model
        for record in cell.records
        if record.status == "scored"
    }


def told(spec: SweepSpec, folder: Path) -> str:
    """What a run says of its failures; the other model's cells are finished all the same."""
    with pytest.raises(InferenceError, match="not all cells are finished") as caught:
        evaluate_sweep(spec, folder)
    finished = {cell.info.model for cell in open_results(folder)}
    assert OTHER in finished
    assert len(records(open_results(folder), OTHER)) == 8 * (spec.limit or 0) * len(spec.shots) // 2
    return str(caught.value)


@contextmanager
def faulty(fault: Forward, *, after: int, times: int = 1 << 30) -> Iterator[list[int]]:
    """OPT's own forward, but that a fault comes after some calls.

    Args:
        fault: Takes what forward returns; gives it back changed, or raises.
        after: How many calls go well.
        times: How many do not, after these.

    Yields:
        A list that holds the number of calls.
    """
    forward, calls = OPTDecoder.forward, [0]

    def counted(self: OPTDecoder, *arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        found = forward(self, *arguments, **options)
        return fault(found) if after < calls[0] <= after + times else found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OPTDecoder, "forward", counted)
        yield calls


def dies(_: Any) -> Any:
    raise ZeroDivisionError("a kernel died")


def runs_out_of_memory(_: Any) -> Any:
    return torch.empty(1 << 52)


def gives_nan(found: Any) -> Any:
    found.last_hidden_state = found.last_hidden_state * torch.nan
    return found


FAULTS = {
    dies: "ZeroDivisionError: a kernel died",
    runs_out_of_memory: "out of memory, even by itself",
    gives_nan: "the model returned NaN",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_model_that_fails_from_the_middle_on(
    opt: Path, both: Callable[..., SweepSpec], tmp_path: Path, fault: Forward
) -> None:
    spec = both(opt)
    with faulty(dies, after=1 << 30) as calls:
        whole = evaluate_sweep(spec, tmp_path / "whole")
    assert calls[0] > 12
    with faulty(fault, after=calls[0] // 2):
        said = told(spec, tmp_path / "out")
    assert "broken failed on toy-" in said
    assert FAULTS[fault] in said
    assert OTHER not in said
    # What it answered before is right; what it did not is no wrong answer.
    kept = records(open_results(tmp_path / "out"), "broken")
    expected = records(whole, "broken")
    assert kept.items() <= expected.items()
    assert len(kept) < len(expected)
    again = evaluate_sweep(spec, tmp_path / "out")
    assert records(again, "broken") == expected
    assert records(again, OTHER) == records(whole, OTHER)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_that_passes_costs_nothing(
    opt: Path, both: Callable[..., SweepSpec], tmp_path: Path, fault: Forward
) -> None:
    spec = both(opt)
    whole = evaluate_sweep(spec, tmp_path / "whole")
    with faulty(fault, after=8, times=1) as calls:
        disturbed = evaluate_sweep(spec, tmp_path / "out")
    assert calls[0] > 9
    assert records(disturbed, "broken") == records(whole, "broken")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_model_that_never_works(
    opt: Path, both: Callable[..., SweepSpec], tmp_path: Path, fault: Forward
) -> None:
    with faulty(fault, after=0):
        said = told(both(opt), tmp_path / "out")
    assert FAULTS[fault] in said
    assert records(open_results(tmp_path / "out"), "broken") == {}


def change(folder: Path, name: str, rows: slice | int, value: float) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights[name][rows] = value
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers(
    codegen: Path, both: Callable[..., SweepSpec], tmp_path: Path, value: float
) -> None:
    change(codegen, "transformer.h.1.mlp.fc_in.weight", slice(None), value)
    assert "the model returned NaN" in told(both(codegen), tmp_path / "out")
    assert records(open_results(tmp_path / "out"), "broken") == {}


def test_nan_of_one_token_fails_those_that_hold_it(
    codegen: Path, both: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    options = {"shots": [0], "limit": 30}
    sound = Path(shutil.copytree(codegen, tmp_path / "sound"))
    expected = records(evaluate_sweep(both(sound, **options), tmp_path / "whole"), "broken")
    tokenizer = json.loads((codegen / "tokenizer.json").read_text(encoding="utf-8"))
    change(codegen, "transformer.wte.weight", tokenizer["model"]["vocab"]["7"], torch.nan)
    said = told(both(codegen, **options), tmp_path / "out")
    assert said.count("the model returned NaN (and 2 more)") == 4  # `a 7`, `b 7` and `c 7`
    assert len(expected) == 120


def flip_header(content: bytearray) -> None:
    content[8:40] = bytes(255 - byte for byte in content[8:40])


def flip_size(content: bytearray) -> None:
    content[5] ^= 1


def truncate(content: bytearray) -> None:
    del content[-100:]


def empty(content: bytearray) -> None:
    content.clear()


def pickled(content: bytearray) -> None:
    content[:] = pickle.dumps({"a": 1})


@pytest.mark.parametrize("damage", [flip_header, flip_size, truncate, empty, pickled])
def test_damaged_safetensors(
    opt: Path,
    both: Callable[..., SweepSpec],
    tmp_path: Path,
    damage: Callable[[bytearray], None],
) -> None:
    path, spec = opt / "model.safetensors", both(opt)
    whole = path.read_bytes()
    content = bytearray(whole)
    damage(content)
    path.write_bytes(content)
    said = told(spec, tmp_path / "out")
    assert "all 8 of broken: models[0]: damaged weights" in said
    assert str(path) in said
    path.write_bytes(whole)
    assert len(records(evaluate_sweep(spec, tmp_path / "out"), "broken")) == 32


def test_flipped_numbers_make_another_model(opt: Path) -> None:
    """They cannot be told from other weights: but the key of their results is another."""
    before = identify(TransformersSpec(model=str(opt)))
    path = opt / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    spec = TransformersSpec(model=str(opt))
    after = identify(spec)
    assert load_model(spec, after).info.n_params
    assert before.key != after.key


def edit_tokenizer(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_tokenizer_of_another_model(
    opt: Path, both: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    rows = load_file(opt / "model.safetensors")["model.decoder.embed_tokens.weight"].shape[0]

    def longer(content: dict[str, Any]) -> None:
        content["model"]["vocab"]["ab"] = rows
        content["model"]["merges"].append(["a", "b"])

    edit_tokenizer(opt, longer)
    said = told(both(opt), tmp_path / "out")
    assert "all 8 of broken: models[0]: the tokenizer of broken does not fit its weights" in said
    assert f"ids up to {rows}, and embeddings of {rows} tokens" in said


def test_added_tokens_without_rows_fail_only_what_spells_them(
    codegen: Path, both: Callable[..., SweepSpec], tmp_path: Path
) -> None:
    rows = load_file(codegen / "model.safetensors")["transformer.wte.weight"].shape[0]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)

    def added(content: dict[str, Any]) -> None:
        token = {"id": rows, "content": "e 7", "special": False, **flags}
        content["added_tokens"].append(token)

    edit_tokenizer(codegen, added)
    assert rows == 257
    said = told(both(codegen, shots=[0], limit=30), tmp_path / "out")
    lines = [line for line in said.splitlines() if "broken" in line]
    assert len(lines) == 2  # ID and OOD of the test side, which alone has an `e 7`
    assert all("token 257 has no row in the model's embeddings, which have 257" in e for e in lines)
    assert "more)" not in said


class Evil:
    """What a hostile pickle does: it calls a function of its choice as it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def save_evil(folder: Path, mark: Path) -> None:
    torch.save({"model.decoder.embed_tokens.weight": Evil(mark)}, folder / "pytorch_model.bin")


def test_a_hostile_pickle_is_hostile(tmp_path: Path) -> None:
    save_evil(tmp_path, tmp_path / "mark")
    torch.load(tmp_path / "pytorch_model.bin", weights_only=False)
    assert (tmp_path / "mark").exists()


def test_a_pickle_beside_safetensors_is_never_opened(opt: Path, tmp_path: Path) -> None:
    save_evil(opt, tmp_path / "mark")
    spec = TransformersSpec(model=str(opt))
    identity = identify(spec)
    assert "pytorch_model.bin" not in identity.key["files"]
    assert load_model(spec, identity).info.n_params
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("options", [{}, {"device_map": "auto", "max_memory": {"cpu": "60KiB"}}])
def test_a_hostile_pickle_is_refused(opt: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    (opt / "model.safetensors").unlink()
    save_evil(opt, tmp_path / "mark")
    spec = TransformersSpec.model_validate({"model": str(opt), **options})
    with pytest.raises(ModelError, match="cannot load the model"):
        load_model(spec, identify(spec))
    assert not (tmp_path / "mark").exists()


def test_an_index_of_safetensors_names_no_pickle(opt: Path, tmp_path: Path) -> None:
    (opt / "model.safetensors").unlink()
    save_evil(opt, tmp_path / "mark")
    index = {"weight_map": {"model.decoder.embed_tokens.weight": "pytorch_model.bin"}}
    (opt / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ModelError, match="no file of weights beside it"):
        identify(TransformersSpec(model=str(opt)))
    assert not (tmp_path / "mark").exists()


def test_plan_tells_of_damaged_weights(opt: Path, toy_card: str, tmp_path: Path) -> None:
    path = opt / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    file = tmp_path / "sweep.yaml"
    fields = {"name": "s", "datasets": [toy_card], "models": [str(opt)], "shots": [0], "limit": 2}
    file.write_text(yaml.safe_dump(fields), encoding="utf-8")
    shown = CliRunner().invoke(app, ["plan", str(file)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "note: models[0]: damaged weights" in shown.output
