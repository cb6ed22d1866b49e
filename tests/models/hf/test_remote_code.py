"""Folders whose settings name code to fetch or to run: refused, unless the sweep trusts them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers.modeling_utils
from hypothesis import given
from hypothesis import strategies as st
from tiny import save_embedder
from transformers import AutoConfig

from icl_gap.errors import ModelError
from icl_gap.models import (
    EmbedderSpec,
    TransformersSpec,
    find_embedder,
    identify,
    load_model,
    measure_footprint,
)
from icl_gap.models.hf.checkpoint import load_weights
from icl_gap.models.hf.remote_code import refuse_code

KERNEL = "kernels-community/flash-attn"


@pytest.fixture
def opt(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("opt"), tmp_path / "opt"))


def spec(folder: Path, **fields: Any) -> TransformersSpec:
    return TransformersSpec.model_validate({"model": str(folder), **fields})


def change(path: Path, more: dict[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | more), "utf-8")


NAMING: list[dict[str, Any]] = [
    {"attn_implementation": KERNEL},
    {"_attn_implementation": KERNEL},
    {"_attn_implementation_internal": KERNEL},
    {"attn_implementation": f"paged|{KERNEL}"},
    {"attn_implementation": "someone/kernel@main:function"},
    {"attn_implementation": {"": KERNEL}},
    {"attn_implementation": {"": "sdpa", "text_config": KERNEL}},
    {"text_config": {"attn_implementation": KERNEL}},
    {"per_layer_config": [{}, {"_attn_implementation": KERNEL}]},
    {"experts_implementation": "someone/experts"},
    {"attribute_map": {"likes": "_attn_implementation_internal"}, "likes": KERNEL},
    {"kernel_config": {"RMSNorm": "someone/kernel:RMSNorm"}},
    {"use_kernels": True},
    {"allow_all_kernels": True},
]


@pytest.mark.parametrize("settings", NAMING, ids=str)
def test_a_configuration_that_names_code_is_refused(opt, settings, monkeypatch) -> None:
    plain = identify(spec(opt))
    fetched: list[object] = []
    monkeypatch.setattr(
        transformers.modeling_utils,
        "lazy_import_flash_attention",
        lambda *kernel, **_: fetched.append(kernel),
    )
    change(opt / "config.json", settings)
    with pytest.raises(ModelError, match="names code to fetch") as raised:
        identify(spec(opt))
    assert "config.json" in str(raised.value)
    assert "`trust_remote_code: true`" in str(raised.value)
    with pytest.raises(ModelError, match="names code to fetch"):
        load_model(spec(opt), plain)  # the folder has changed since it was identified
    assert fetched == []
    assert identify(spec(opt, trust_remote_code=True)).name == "opt"


def test_a_kernel_is_looked_for_where_the_sweep_says_so(opt, monkeypatch) -> None:
    """As well as without the check, which is what it is for."""
    fetched: list[object] = []
    monkeypatch.setattr(
        transformers.modeling_utils,
        "lazy_import_flash_attention",
        lambda *kernel, **_: fetched.append(kernel),
    )
    change(opt / "config.json", {"attribute_map": {"likes": "_attn_implementation"}})
    change(opt / "config.json", {"likes": KERNEL})
    load_weights(spec(opt, trust_remote_code=True), opt)
    assert set(fetched) == {(KERNEL,)}


@pytest.mark.parametrize(
    "settings",
    [
        {"attn_implementation": "eager"},
        {"_attn_implementation": "sdpa", "experts_implementation": None},
        {"attn_implementation": {"": "sdpa"}},
        {"use_kernels": False, "kernel_config": None},
        {"architectures": ["a/b"], "_name_or_path": "org/model"},
    ],
    ids=str,
)
def test_what_the_library_has_itself_is_no_code(opt, settings) -> None:
    change(opt / "config.json", settings)
    assert load_model(spec(opt), identify(spec(opt))).info.n_params


def test_another_file_that_the_configuration_points_to_counts(opt) -> None:
    change(opt / "config.json", {"configuration_files": ["config.5.0.json"]})
    shutil.copy(opt / "config.json", opt / "config.5.0.json")
    change(opt / "config.5.0.json", {"attn_implementation": KERNEL})
    assert AutoConfig.from_pretrained(opt)._attn_implementation == KERNEL
    with pytest.raises(ModelError, match=r"kernels-community/flash-attn in .*config\.5\.0\.json"):
        identify(spec(opt))


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(JSON, st.lists(st.text(max_size=5) | st.none(), max_size=5))
def test_a_kernel_is_found_however_deep_it_is_named(value, way) -> None:
    found: Any = {"beside": value, "attn_implementation": KERNEL}
    for key in way:
        found = [value, found] if key is None else {key: found}
    path = Path("config.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "glob", lambda *_: [path])
        patch.setattr("icl_gap.models.hf.remote_code.read_optional_json", lambda _: {"": found})
        with pytest.raises(ModelError, match=KERNEL):
            refuse_code(Path())


def own_code(folder: Path, mark: Path) -> None:
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
    classes = {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}
    change(folder / "config.json", {"auto_map": classes})


def test_code_beside_an_architecture_of_the_library_is_left_and_not_run(opt, tmp_path) -> None:
    """To refuse it would make users trust it who need not."""
    own_code(opt, tmp_path / "mark")
    assert load_model(spec(opt), identify(spec(opt))).info.n_params
    assert not (tmp_path / "mark").exists()


def test_code_that_is_needed_is_refused_in_a_plan_too(opt, tmp_path) -> None:
    own_code(opt, tmp_path / "mark")
    change(opt / "config.json", {"model_type": "own"})
    identity = identify(spec(opt))
    for step in (
        lambda: measure_footprint(spec(opt), identity),
        lambda: load_model(spec(opt), identity),
    ):
        with pytest.raises(ModelError, match="comes with Python code") as raised:
            step()
        assert "`trust_remote_code: true`" in str(raised.value)
    assert not (tmp_path / "mark").exists()


def test_a_tokenizer_that_is_code_is_refused(opt, tmp_path) -> None:
    mark = tmp_path / "mark"
    (opt / "own.py").write_text(f"open({str(mark)!r}, 'w').close()\n", encoding="utf-8")
    (opt / "tokenizer.json").unlink()
    settings = {"auto_map": {"AutoTokenizer": ["own.Own", None]}, "tokenizer_class": "Own"}
    (opt / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    change(opt / "config.json", {"model_type": "own"})
    with pytest.raises(ModelError, match="comes with Python code"):
        load_model(spec(opt), identify(spec(opt)))
    assert not mark.exists()


@pytest.fixture
def embedder(tmp_path: Path) -> Path:
    return save_embedder(tmp_path / "embedder", ("walk", "run"))


def of_modules(folder: Path) -> None:
    path = folder / "modules.json"
    modules = json.loads(path.read_text(encoding="utf-8"))
    modules[0]["type"] = "own.Transformer"
    path.write_text(json.dumps(modules), encoding="utf-8")


def of_arguments(folder: Path) -> None:
    path = folder / "sentence_bert_config.json"
    path.write_text(json.dumps({"model_args": {"attn_implementation": KERNEL}}), encoding="utf-8")


def of_configuration(folder: Path) -> None:
    change(folder / "config.json", {"attn_implementation": KERNEL})


def of_a_part(folder: Path) -> None:
    change(folder / "1_Pooling" / "config.json", {"types": {"query": "own.Pooling"}})


@pytest.mark.parametrize("name_code", [of_modules, of_arguments, of_configuration, of_a_part])
def test_an_embedder_that_names_code_is_refused(
    embedder: Path, name_code: Callable[[Path], None]
) -> None:
    assert find_embedder(EmbedderSpec(model=str(embedder)))(["walk"]).shape[0] == 1
    name_code(embedder)
    with pytest.raises(ModelError, match="never run for embeddings"):
        find_embedder(EmbedderSpec(model=str(embedder)))
