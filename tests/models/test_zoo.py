"""The zoo's numbers, counted again from published configurations."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from icl_gap.models import (
    RandomInitSpec,
    TransformersSpec,
    identify,
    load_model,
    save_random_init,
)
from icl_gap.models.hf.checkpoint import count_parameters
from icl_gap.models.shipped import shipped_folder, shipped_models
from icl_gap.models.zoo import (
    ZooModel,
    find_zoo_model,
    members,
    named_seed,
    training_tokens,
    zoo,
)

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


def gpt_oss(layers: int, experts: int) -> Shape:
    kind, config = gated("gpt_oss", 201088, (2880, layers, 64, 8, 2880), head_dim=64)
    return kind, config | {"num_local_experts": experts}


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
    "qwen-3-instruct-32b": gated("qwen3", 151936, (5120, 64, 64, 8, 25600), head_dim=128),
    "olmo-3-7b": gated("olmo3", 100278, (4096, 32, 32, 32, 11008)),
    "olmo-3-32b": gated("olmo3", 100278, (5120, 64, 40, 8, 27648)),
    "smollm2-135m": gated("llama", 49152, (576, 30, 9, 3, 1536), tied=True),
    "smollm2-360m": gated("llama", 49152, (960, 32, 15, 5, 2560), tied=True),
    "smollm2-1.7b": gated("llama", 49152, (2048, 24, 32, 32, 8192), tied=True),
    "gpt-oss-20b": gpt_oss(24, 32),
    "gpt-oss-120b": gpt_oss(36, 128),
    "polypythias-14m": pythia(128, 6, 4),
    "polypythias-31m": pythia(256, 6, 8),
    "gemma-3-270m": gated("gemma3_text", 262144, (640, 18, 4, 1, 2048), tied=True, head_dim=256),
    "gemma-3-1b": gated("gemma3_text", 262144, (1152, 26, 4, 1, 6912), tied=True, head_dim=256),
    "gemma-3-4b": gemma((2560, 34, 8, 4, 10240), 256),
    "gemma-3-12b": gemma((3840, 48, 16, 8, 15360), 256),
    "gemma-3-27b": gemma((5376, 62, 32, 16, 21504), 128),
}
"""The published configurations, as far as parameters depend on them."""
SAME_SHAPE = {
    "gemma-3-it": "gemma-3",
    "llama-3-instruct": "llama-3",
    "llama-3.3-instruct": "llama-3",
    "olmo-2-instruct": "olmo-2",
    "olmo-3-instruct": "olmo-3",
    "olmo-3-think": "olmo-3",
    "polypythias": "pythia",
    "qwen-2.5-coder": "qwen-2.5",
    "qwen-2.5-coder-instruct": "qwen-2.5",
    "qwen-3-instruct": "qwen-3",
    "smollm2-instruct": "smollm2",
}
"""Families whose sizes have the shapes of another's, but for those that `CONFIGS` names."""
CONFIGS |= {
    f"{family}-{each.size}": CONFIGS[f"{shape}-{each.size}"]
    for family, shape in SAME_SHAPE.items()
    for each in members(family)
    if f"{family}-{each.size}" not in CONFIGS
}


def counted(kind: str, config: dict[str, Any]) -> tuple[int, int]:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **config))
    model.tie_weights()
    return count_parameters(model)


def trainings(each: ZooModel) -> set[str]:
    """Return the names of a size's trainings."""
    return {each.named(seed) for seed in each.training_seeds or (None,)}


@pytest.mark.parametrize("name", CONFIGS)
def test_counted_sizes_are_those_of_the_architecture(name) -> None:
    each = EVERY[name]
    assert counted(*CONFIGS[name]) == (each.n_params, each.n_params_non_embedding)


@pytest.mark.parametrize("name", shipped_models())
def test_models_that_ship_are_as_the_zoo_says(name: str) -> None:
    each, folder = find_zoo_model(name), shipped_folder(name)
    assert each is not None
    assert folder is not None
    info = load_model(*((spec := TransformersSpec(model=name)), identify(spec))).info
    assert (info.n_params, info.n_params_non_embedding) == (
        each.n_params,
        each.n_params_non_embedding,
    )
    assert (info.size_source, info.family) == (each.size_source, each.family)
    trained = json.loads((folder / "training_args.json").read_text(encoding="utf-8"))
    assert info.training_tokens == each.training_tokens
    assert info.training_tokens == pytest.approx(trained["progress"]["tokens"], rel=0.02)
    if each.training_seeds is not None:
        assert identify(spec).training_seed == trained["recipe"]["seed"]


def test_every_counted_size_is_counted_here() -> None:
    ships = {n for n, e in EVERY.items() if trainings(e) & set(shipped_models())}
    assert {name for each in ships for name in trainings(EVERY[each])} == set(shipped_models())
    assert {n for n, e in EVERY.items() if e.size_source == "counted"} == {*CONFIGS, *ships}
    assert {e.family for e in EVERY.values() if e.size_source == "estimated"} == {"codex"}


@pytest.mark.parametrize("family", zoo())
def test_a_family_goes_from_the_smallest_to_the_largest(family) -> None:
    sizes = [each.n_params for each in members(family)]
    assert sizes == sorted(set(sizes))


def test_what_is_tuned_to_chat_or_thinks_is_said() -> None:
    chat = {name for name, family in zoo().items() if family.chat}
    assert {name for name in zoo() if name.endswith(("-instruct", "-it", "-think"))} <= chat
    assert not chat & {"qwen-3", "gemma-3", "olmo-3", "smollm2", "qwen-2.5-coder"}
    qwen = find_zoo_model("Qwen/Qwen3-0.6B")
    assert qwen is not None
    assert (qwen.family, qwen.chat) == ("qwen-3-instruct", True)
    assert qwen.thinking == ("<think>", "</think>")
    thinks = {name for name, family in zoo().items() if family.thinking}
    assert thinks == {"qwen-3-instruct", "olmo-3-think", "gpt-oss"}
    assert thinks <= chat
    assert find_zoo_model("Qwen/Qwen3-0.6B-GGUF") is None


def test_a_family_has_seeds_where_its_names_have_a_place_for_them() -> None:
    for each in EVERY.values():
        assert ("{seed}" in each.model) == (each.training_seeds is not None)
    for seed in range(1, 10):
        each = find_zoo_model(f"EleutherAI/pythia-410m-seed{seed}")
        assert each == EVERY["polypythias-410m"]
    assert find_zoo_model("EleutherAI/pythia-410m-seed10") is None
    assert named_seed("EleutherAI/pythia-410m-seed9") == 9
    assert named_seed("EleutherAI/pythia-410m") is None


def test_the_default_seed_is_not_part_of_the_name() -> None:
    each = find_zoo_model("nano-codegen-m")
    assert each == EVERY["nano-codegen-m"]
    assert (each.default_seed, named_seed("nano-codegen-m")) == (0, 0)
    assert each.listed_name == "nano-codegen-m"
    assert EVERY["polypythias-14m"].listed_name == "EleutherAI/pythia-14m-seed{seed}"
    assert [each.named(seed) for seed in (0, 1)] == ["nano-codegen-m", "nano-codegen-m-seed1"]
    assert find_zoo_model("nano-codegen-m-seed0") is None


def test_a_size_may_have_fewer_trainings_than_its_family(monkeypatch) -> None:
    about = zoo()["polypythias"]
    size = about.sizes["14m"].model_copy(update={"training_seeds": (1, 2)})
    fewer = about.model_copy(update={"sizes": {**about.sizes, "14m": size}})
    monkeypatch.setattr("icl_gap.models.zoo.zoo", lambda: {"polypythias": fewer})
    small, larger, *_ = members("polypythias")
    assert (small.training_seeds, larger.training_seeds) == ((1, 2), about.training_seeds)


def test_the_tokens_of_a_training_are_those_of_its_family() -> None:
    assert training_tokens("EleutherAI/pythia-14m-seed1") == 299_892_736_000
    assert training_tokens("nano-codegen-m") == 36_000_000


def test_no_model_stands_twice() -> None:
    assert len({each.model for each in EVERY.values()}) == len(EVERY)


def test_what_a_size_says_comes_before_what_its_family_says() -> None:
    large, small = EVERY["bloom-176b"], EVERY["bloom-7b1"]
    assert (large.training_tokens, small.training_tokens) == (366 * 10**9, 341 * 10**9)
    assert (EVERY["llama-3-1b"].licence, EVERY["llama-3-8b"].licence) == ("llama3.2", "llama3.1")
    assert training_tokens("bigscience/bloom") == 366 * 10**9
    assert training_tokens("openai-community/gpt2") is None
    assert training_tokens("./bloom") is None


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
