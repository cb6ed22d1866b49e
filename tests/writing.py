"""A model that writes what it is told: each token is a function of the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import ByteLevel

from icl_gap.models import RandomInitSpec, save_random_init


def save_writer(folder: Path, *chain: str, also: Mapping[str, str] | None = None) -> Path:
    """Write an OPT that answers along a chain of tokens, from wherever in it the prompt ends.

    Args:
        folder: Where to.
        chain: Tokens as byte-level BPE writes them, single bytes or longer; none comes twice.
        also: What may follow some of them as well; this and the chain's own tie.
    """
    source = folder / "tokenizer"
    source.mkdir(parents=True, exist_ok=True)
    more = {} if also is None else dict(also)
    every = [*ByteLevel.alphabet(), *chain, *more.values(), "<|endoftext|>"]
    tokens = dict.fromkeys(every)
    vocabulary = {token: n for n, token in enumerate(tokens)}
    (source / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (source / "merges.txt").write_text("", encoding="utf-8")
    save_random_init(RandomInitSpec(hidden_size=32, tokenizer=source), folder)
    pairs = [*pairwise(chain), *more.items(), *((new, chain[-1]) for new in more.values())]
    following = [(vocabulary[last], vocabulary[token]) for last, token in pairs]
    _script(folder / "model.safetensors", following)
    return folder


def _script(path: Path, following: list[tuple[int, int]]) -> None:
    weights = {name: torch.zeros_like(w) for name, w in load_file(path).items()}
    table = weights["model.decoder.embed_tokens.weight"]
    ids = sorted({token for pair in following for token in pair})
    assert len(ids) * 2 <= table.shape[1]
    for n, token in enumerate(ids):
        table[token, n] = 1.0
    for name, weight in weights.items():
        if name.endswith("layer_norm.weight"):
            weight.fill_(1.0)
    # One block adds, for each token, a far larger sign of the token that comes next.
    weights["model.decoder.layers.0.fc1.weight"][: len(ids), : len(ids)] = torch.eye(len(ids))
    for last, token in following:
        row, column = ids.index(token), ids.index(last)
        weights["model.decoder.layers.0.fc2.weight"][row, column] = 50.0
    save_file(weights, path, metadata={"format": "pt"})
