"""The identity of a model: all that can change its responses, known before its weights load."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf.folder import sha256
from icl_gap.models.zoo import named_seed
from icl_gap.schema import SizeSource

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenization_*.py",
    "vocab.*",
    "merges.txt",
    "*.model",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A model as it is known before it is loaded."""

    name: str
    family: str
    context_length: int | None
    """In tokens; None where there is no limit."""
    trained: bool
    key: dict[str, Any]
    """All that can change a result, as JSON values: hashes of files or a commit, never paths."""
    folder: Path | None = None
    """Folder of the model's files; None for a model without files."""
    tokenizer: str | None = None
    """Digest of the tokenizer, its BOS policy and the chat that its prompts become. Models with the
    same digest see the same exemplars, and their prompts have the same length."""
    training_tokens: int | None = None
    """Number of training tokens that the model's makers state; None where it is not known."""
    n_params: int | None = None
    """Number of parameters that the user states; None where they are counted, or not known."""
    n_params_non_embedding: int | None = None
    """The same without embeddings and output layer."""
    size_source: SizeSource = "counted"
    training_seed: int | None = None
    """Seed of its training, as the user, its `config.json` or the zoo states it."""
    revision: str | None = None
    """Branch, tag or commit of its weights, as the user gives it."""
    chat_template: ChatTemplate | None = None
    """Template that turns messages into the prompt's text; None where none does so here."""


def checkpoint_name(name: str, *, revision: str | None, training_seed: int | None) -> str:
    """Return a name that tells the checkpoints of one model apart.

    A name that ends in the seed, as `EleutherAI/pythia-14m-seed3`, does not get it twice, nor does
    one that the zoo has for the training of that seed, as `nano-codegen-m` for seed 0.

    Args:
        name: The model's name.
        revision: Branch, tag or commit of the weights; `main` and None add nothing.
        training_seed: Seed of the training; None adds nothing.
    """
    at = "" if revision in {None, "main"} else f"@{revision}"
    seed = "" if training_seed is None else f"-seed{training_seed}"
    told = name.endswith(seed) or named_seed(name) == training_seed
    return f"{name}{at}" if told else f"{name}{at}{seed}"


def tokenizer_files(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a folder that belongs to its tokenizer, by name.

    Raises:
        OSError: A file cannot be read.
    """
    paths = sorted(path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern))
    return {path.name: sha256(path) for path in paths}


def tokenizer_digest(settings: Mapping[str, str]) -> str:
    """Return one digest of a tokenizer's settings and of the hashes of its files."""
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()
