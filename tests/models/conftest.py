"""Tiny models of three architectures, made on disk once."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from icl_gap.models import RandomInitSpec, save_random_init

MakeModel = Callable[..., Path]


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Makes `family`'s model, with weights wide enough that its answers vary with the prompt."""
    made: dict[object, Path] = {}

    def make(family: str, tokenizer: Path | None = None, **options: object) -> Path:
        key = (family, tokenizer, *sorted(options.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp(family) / "model"
            spec = RandomInitSpec.model_validate(
                {"family": family, "tokenizer": tokenizer, "hidden_size": 32, **options}
            )
            save_random_init(spec, folder)
            _widen(folder / "model.safetensors")
            made[key] = folder
        return made[key]

    return make


def _widen(path: Path, factor: float = 12.0) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    wide = {name: (w * factor if w.dim() > 1 else w).contiguous() for name, w in weights.items()}
    save_file(wide, path, metadata={"format": "pt"})


@pytest.fixture(scope="session")
def gpt2_folder(data_root: Path) -> Path:
    """GPT-2's published vocabulary and merges."""
    return data_root / "tokenizers" / "gpt2"


@pytest.fixture(scope="session")
def gpt2(gpt2_folder: Path) -> Tokenizer:
    """GPT-2's published tokenizer."""
    bpe = models.BPE.from_file(str(gpt2_folder / "vocab.json"), str(gpt2_folder / "merges.txt"))
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.fixture(scope="session")
def cfq_targets(data_root: Path) -> list[str]:
    """The distinct targets of CFQ MCD1's training side."""

    def lines() -> Iterator[str]:
        path = data_root / "cfq" / "mcd1" / "train_decode.txt.gz"
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from (line.rstrip("\n") for line in file)

    return sorted(set(lines()))
