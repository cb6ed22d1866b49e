"""A model that writes what it is told: each token is a function of the one before."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import ByteLevel

from icl_gap.models import UntrainedSpec, save_untrained


def save_writer(folder: Path, *chain: str) -> Path:
    """Write an OPT that answers along a chain of tokens, from wherever in it the prompt ends.

    Args:
        folder: Where to.
        chain: Tokens as byte-level BPE writes them, single bytes or longer; none comes twice.
    """
    source = folder / "tokenizer"
    source.mkdir(parents=True, exist_ok=True)
    tokens = dict.fromkeys([*ByteLevel.alphabet(), *chain, "<|endoftext|>"])
    vocabulary = {token: n for n, token in enumerate(tokens)}
    (source / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (source / "merges.txt").write_text("", encoding="utf-8")
    save_untrained(UntrainedSpec(hidden_size=32, tokenizer=source), folder)
    ids = [vocabulary[token] for token in chain]
    _script(folder / "model.safetensors", dict(pairwise(ids)))
    return folder


def _script(path: Path, following: dict[int, int]) -> None:
    weights = {name: torch.zeros_like(w) for name, w in load_file(path).items()}
    table = weights["model.decoder.embed_tokens.weight"]
    ids = sorted({*following, *following.values()})
    assert len(ids) * 2 <= table.shape[1]
    for n, token in enumerate(ids):
        table[token, n] = 1.0
    for name, weight in weights.items():
        if name.endswith("layer_norm.weight"):
            weight.fill_(1.0)
    # One block adds, for each token, a far larger sign of the token that comes next.
    weights["model.decoder.layers.0.fc1.weight"][: len(ids), : len(ids)] = torch.eye(len(ids))
    for last, token in following.items():
        row, column = ids.index(token), ids.index(last)
        weights["model.decoder.layers.0.fc2.weight"][row, column] = 50.0
    save_file(weights, path, metadata={"format": "pt"})
