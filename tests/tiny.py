"""Tiny models of many architectures with random weights and small vocabularies, made on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertModel,
    BloomConfig,
    CodeGenConfig,
    FalconConfig,
    Gemma3TextConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

LETTERS = ("a", "b", "c", ".", "\u0120", "\u010a")
"""What there are tokens for, as byte-level BPE writes it; the last are a space and a newline."""
END = "<|endoftext|>"
_LLAMA = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
ARCHITECTURES: dict[str, tuple[type[PreTrainedConfig], dict[str, Any]]] = {
    "opt": (
        OPTConfig,
        {
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 256,
        },
    ),
    "bloom": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "codegen": (
        CodeGenConfig,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "n_positions": 256},
    ),
    "gpt_neox": (
        GPTNeoXConfig,
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 256,
        },
    ),
    "llama": (LlamaConfig, _LLAMA),
    "qwen2": (Qwen2Config, _LLAMA),
    # Attention that looks back 8 tokens in one layer of two.
    "gemma3_text": (
        Gemma3TextConfig,
        {
            **_LLAMA,
            "head_dim": 8,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    # Two that cannot share: one with linear biases of its own, one without attention.
    "falcon": (
        FalconConfig,
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True},
    ),
    "mamba": (MambaConfig, {"hidden_size": 32, "num_hidden_layers": 2}),
}
PAPERS = ("opt", "bloom", "codegen")
"""The families of the 2022 paper."""
SHARING = (*PAPERS, "gpt_neox", "llama", "qwen2", "gemma3_text")


def bpe(merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """A byte-level BPE over a few letters, with EOS."""
    tokens = dict.fromkeys([*LETTERS, *("".join(pair) for pair in merges)])
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer


def word_marking() -> Tokenizer:
    """A BPE of characters that marks the beginnings of words, as Llama's does."""
    mark = "\u2581"
    letters = ["a", "b", "c", ".", "\n", mark]
    merges = [(mark, "a"), (mark, "b"), ("a", "b"), (mark + "a", "b"), (".", "\n")]
    tokens = dict.fromkeys([*letters, *("".join(pair) for pair in merges)])
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([END])
    return tokenizer


def build_tiny(
    architecture: str, tokenizer: Tokenizer, *, seed: int = 0, **changes: Any
) -> PreTrainedModel:
    """A model whose answers vary with its prompt."""
    kind, shape = ARCHITECTURES[architecture]
    end = tokenizer.token_to_id(END)
    config = kind(
        **{**shape, **changes},
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        initializer_range=0.5,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    return model.eval()


def save_tiny(folder: Path, architecture: str, tokenizer: Tokenizer, **options: Any) -> Path:
    """Write such a model and its tokenizer."""
    model = build_tiny(architecture, tokenizer, **options)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def save_embedder(folder: Path, words: Sequence[str]) -> Path:
    """Write a model of sentence-transformers: a small BERT with random weights, its mean pooled."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    bert, marks = folder / "bert", ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    tokenizer = Tokenizer(
        models.WordLevel({w: n for n, w in enumerate((*marks, *words))}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), marks, strict=True))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": mark for name, mark in names.items()}
    ).save_pretrained(bert)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(
        **shape, vocab_size=tokenizer.get_vocab_size(), intermediate_size=32, initializer_range=0.5
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(bert)
    parts = [Transformer(str(bert)), Pooling(shape["hidden_size"])]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder / "embedder"))
    return folder / "embedder"
