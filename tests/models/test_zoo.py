"""The zoo's numbers, counted again from published configurations; entries that name families."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from icl_gap.errors import InputError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.models import (
    FamilySpec,
    OpenAISpec,
    RandomInitSpec,
    TransformersSpec,
    expand,
    identify,
    load_model,
    save_random_init,
)
from icl_gap.models.hf.checkpoint import count_parameters
from icl_gap.models.shipped import shipped_folder, shipped_models
from icl_gap.models.zoo import ZooModel, members, training_tokens, zoo
from icl_gap.specs import check_spec

Shape = tuple[str, dict[str, Any]]
EVERY = {f"{each.family}-{each.size}": each for family in zoo() for each in members(family)}


def opt(width: int, layers: int, heads: int, **more: Any) -> Shape:
    config = {"vocab_size": 50272, "max_position_embeddings": 2048, "hidden_size": width}
    config |= {"word_embed_proj_dim": width, "ffn_dim": 4 * width}
    return "opt", config | {"num_hidden_layers": layers, "num_attention_heads": heads} | more


def bloom(width: int, layers: int, heads: int) -> Shape:
    return "bloom", {
        "vocab_size": 250880,
        "hidden_size": width,
        "n_layer": layers,
        "n_head": heads,
    }


def codegen(width: int, layers: int, heads: int, rotary: int) -> Shape:
    config = {"vocab_size": 51200, "n_positions": 2048, "n_embd": width, "n_layer": layers}
    return "codegen", config | {"n_head": heads, "rotary_dim": rotary, "tie_word_embeddings": False}


def gpt2(width: int, layers: int, heads: int) -> Shape:
    config = {"vocab_size": 50257, "n_positions": 1024, "n_embd": width}
    return "gpt2", config | {"n_layer": layers, "n_head": heads}


def pythia(width: int, layers: int, heads: int, vocabulary: int = 50304) -> Shape:
    config = {"vocab_size": vocabulary, "max_position_embeddings": 2048, "hidden_size": width}
    config |= {"num_hidden_layers": layers, "num_attention_heads": heads}
    return "gpt_neox", config | {"intermediate_size": 4 * width, "tie_word_embeddings": False}


def gated(
    kind: str, vocabulary: int, shape: tuple[int, ...], *, tied: bool = False, **more: Any
) -> Shape:
    """`shape` is width, layers, heads, heads of keys and values, width of the feed-forward."""
    width, layers, heads, kv_heads, inner = shape
    config = {"vocab_size": vocabulary, "hidden_size": width, "num_hidden_layers": layers}
    config |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads}
    return kind, config | {"intermediate_size": inner, "tie_word_embeddings": tied} | more


def gemma(shape: tuple[int, ...], head_dim: int) -> Shape:
    _, text = gated("", 262208, shape, tied=True, head_dim=head_dim)
    eyes = {"hidden_size": 1152, "num_hidden_layers": 27, "num_attention_heads": 16}
    eyes |= {"intermediate_size": 4304, "image_size": 896, "patch_size": 14}
    eyes |= {"vision_use_head": False}
    return "gemma3", {"text_config": text, "vision_config": eyes, "mm_tokens_per_image": 256}


CODEGEN = {
    "350m": codegen(1024, 20, 16, 32),
    "2b": codegen(2560, 32, 32, 64),
    "6b": codegen(4096, 33, 16, 64),
    "16b": codegen(6144, 34, 24, 64),
}
CONFIGS: dict[str, Shape] = {
    "opt-125m": opt(768, 12, 12),
    "opt-350m": opt(1024, 24, 16, word_embed_proj_dim=512, do_layer_norm_before=False),
    "opt-1.3b": opt(2048, 24, 32),
    "opt-2.7b": opt(2560, 32, 32),
    "opt-6.7b": opt(4096, 32, 32),
    "opt-13b": opt(5120, 40, 40),
    "opt-30b": opt(7168, 48, 56),
    "opt-66b": opt(9216, 64, 72),
    "bloom-560m": bloom(1024, 24, 16),
    "bloom-1b1": bloom(1536, 24, 16),
    "bloom-1b7": bloom(2048, 24, 16),
    "bloom-3b": bloom(2560, 30, 32),
    "bloom-7b1": bloom(4096, 30, 32),
    "bloom-176b": bloom(14336, 70, 112),
    **{f"codegen-{on}-{s}": c for on in ("nl", "multi", "mono") for s, c in CODEGEN.items()},
    "gpt2-124m": gpt2(768, 12, 12),
    "gpt2-355m": gpt2(1024, 24, 16),
    "gpt2-774m": gpt2(1280, 36, 20),
    "gpt2-1.5b": gpt2(1600, 48, 25),
    "pythia-70m": pythia(512, 6, 8),
    "pythia-160m": pythia(768, 12, 12),
    "pythia-410m": pythia(1024, 24, 16),
    "pythia-1b": pythia(2048, 16, 8),
    "pythia-1.4b": pythia(2048, 24, 16),
    "pythia-2.8b": pythia(2560, 32, 32),
    "pythia-6.9b": pythia(4096, 32, 32, 50432),
    "pythia-12b": pythia(5120, 36, 40, 50688),
    "olmo-2-1b": gated("olmo2", 100352, (2048, 16, 16, 16, 8192)),
    "olmo-2-7b": gated("olmo2", 100352, (4096, 32, 32, 32, 11008)),
    "olmo-2-13b": gated("olmo2", 100352, (5120, 40, 40, 40, 13824)),
    "olmo-2-32b": gated("olmo2", 100352, (5120, 64, 40, 8, 27648)),
    "llama-3-1b": gated("llama", 128256, (2048, 16, 32, 8, 8192), tied=True, head_dim=64),
    "llama-3-3b": gated("llama", 128256, (3072, 28, 24, 8, 8192), tied=True, head_dim=128),
    "llama-3-8b": gated("llama", 128256, (4096, 32, 32, 8, 14336)),
    "llama-3-70b": gated("llama", 128256, (8192, 80, 64, 8, 28672)),
    "qwen-2.5-0.5b": gated("qwen2", 151936, (896, 24, 14, 2, 4864), tied=True),
    "qwen-2.5-1.5b": gated("qwen2", 151936, (1536, 28, 12, 2, 8960), tied=True),
    "qwen-2.5-3b": gated("qwen2", 151936, (2048, 36, 16, 2, 11008), tied=True),
    "qwen-2.5-7b": gated("qwen2", 152064, (3584, 28, 28, 4, 18944)),
    "qwen-2.5-14b": gated("qwen2", 152064, (5120, 48, 40, 8, 13824)),
    "qwen-2.5-32b": gated("qwen2", 152064, (5120, 64, 40, 8, 27648)),
    "qwen-2.5-72b": gated("qwen2", 152064, (8192, 80, 64, 8, 29568)),
    "qwen-3-0.6b": gated("qwen3", 151936, (1024, 28, 16, 8, 3072), tied=True, head_dim=128),
    "qwen-3-1.7b": gated("qwen3", 151936, (2048, 28, 16, 8, 6144), tied=True, head_dim=128),
    "qwen-3-4b": gated("qwen3", 151936, (2560, 36, 32, 8, 9728), tied=True, head_dim=128),
    "qwen-3-8b": gated("qwen3", 151936, (4096, 36, 32, 8, 12288), head_dim=128),
    "qwen-3-14b": gated("qwen3", 151936, (5120, 40, 40, 8, 17408), head_dim=128),
    "gemma-3-1b": gated("gemma3_text", 262144, (1152, 26, 4, 1, 6912), tied=True, head_dim=256),
    "gemma-3-4b": gemma((2560, 34, 8, 4, 10240), 256),
    "gemma-3-12b": gemma((3840, 48, 16, 8, 15360), 256),
    "gemma-3-27b": gemma((5376, 62, 32, 16, 21504), 128),
}
"""The published configurations, as far as parameters depend on them."""


def counted(kind: str, config: dict[str, Any]) -> tuple[int, int]:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    model.tie_weights()
    return count_parameters(model)


@pytest.mark.parametrize("name", CONFIGS)
def test_counted_sizes_are_those_of_the_architecture(name) -> None:
    each = EVERY[name]
    assert counted(*CONFIGS[name]) == (each.n_params, each.n_params_non_embedding)


@pytest.mark.parametrize(
    "each", [e for e in EVERY.values() if shipped_folder(e.model)], ids=lambda e: e.model
)
def test_models_that_ship_are_as_the_zoo_says(each: ZooModel) -> None:
    folder = shipped_folder(each.model)
    assert folder is not None
    info = load_model(*((spec := TransformersSpec(model=each.model)), identify(spec))).info
    assert (info.n_params, info.n_params_non_embedding) == (
        each.n_params,
        each.n_params_non_embedding,
    )
    assert (info.size_source, info.family) == (each.size_source, each.family)
    trained = json.loads((folder / "training_args.json").read_text(encoding="utf-8"))
    assert info.training_tokens == each.training_tokens == trained["progress"]["tokens"]


def test_every_counted_size_is_counted_here() -> None:
    ships = {f"{e.family}-{e.size}" for e in EVERY.values() if e.model in shipped_models()}
    assert len(ships) == len(shipped_models())
    assert {n for n, e in EVERY.items() if e.size_source == "counted"} == {*CONFIGS, *ships}
    assert {e.family for e in EVERY.values() if e.size_source == "estimated"} == {"codex"}


@pytest.mark.parametrize("family", zoo())
def test_a_family_goes_from_the_smallest_to_the_largest(family) -> None:
    sizes = [each.n_params for each in members(family)]
    assert sizes == sorted(set(sizes))


def test_no_model_stands_twice() -> None:
    assert len({each.model for each in EVERY.values()}) == len(EVERY)


def test_what_a_size_says_comes_before_what_its_family_says() -> None:
    large, small = EVERY["bloom-176b"], EVERY["bloom-7b1"]
    assert (large.training_tokens, small.training_tokens) == (366 * 10**9, 341 * 10**9)
    assert (EVERY["llama-3-1b"].licence, EVERY["llama-3-8b"].licence) == ("llama3.2", "llama3.1")
    assert training_tokens("bigscience/bloom") == 366 * 10**9
    assert training_tokens("openai-community/gpt2") is None
    assert training_tokens("./bloom") is None


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


def test_an_entry_is_kept_as_written() -> None:
    fields = {"family": "opt", "sizes": ["125m"], "dtype": "float16"}
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
        ({"kind": "zoo", "family": "opt", "model": "m"}, "", "leave `model` out"),
        ({"kind": "zoo"}, "family", "missing"),
        ({"family": "codex", "max_cost": 1.0}, "", "price"),
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


def test_a_folder_by_the_name_of_a_model_of_the_zoo_has_its_tokens(tmp_path, monkeypatch) -> None:
    save_random_init(RandomInitSpec(hidden_size=32, layers=1), tmp_path / "facebook" / "opt-125m")
    monkeypatch.chdir(tmp_path)
    spec = TransformersSpec(model="facebook/opt-125m")
    assert identify(spec).training_tokens is None  # it is not trained
    config = tmp_path / "facebook" / "opt-125m" / "config.json"
    fields = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps({**fields, "icl_gap_untrained": False}), encoding="utf-8")
    assert identify(spec).training_tokens == 180 * 10**9
    assert identify(TransformersSpec(model="./facebook/opt-125m")).training_tokens is None
