"""Families of folders: by their base model, and by their own name where none is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from icl_gap.models.hf.base_model import family_of_folder, family_of_name


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("pythia", ["EleutherAI/pythia-70m", "EleutherAI/pythia-1b"]),
        ("Mine-2-Instruct", ["me/Mine-2-0.5B-Instruct", "Mine-2-1.5B-Instruct", "Mine-2-Instruct"]),
        ("Mine", ["Mine-8x7B", "Mine_13b", "Mine 270m", "Mine-30B-A3B", "mE/Mine-1b7-AWQ"]),
        ("nano", ["nano-s", "nano-xl", "nano-medium", "nano-3m"]),
        ("mine-4-it", ["mine-4-E2B-it", "mine-4-it-Q4_K_M", "mine-4-1b-it-GGUF", "mine-4-it-bf16"]),
        (
            "Qwen2.5 Coder Instruct",
            ["Qwen2.5 Coder 0.5B Instruct AWQ", "Qwen2.5 Coder 3B Instruct"],
        ),
        ("checkpoint-500", ["checkpoint-500"]),
        ("7b", ["7b"]),
    ],
)
def test_the_sizes_of_a_model_share_a_family(family: str, names: list[str]) -> None:
    assert {family_of_name(name) for name in names} == {family}


@pytest.mark.parametrize(
    ("config", "card", "family"),
    [
        ({}, "", "some"),
        ({"_name_or_path": "facebook/opt-350m"}, "---\nbase_model: a/b\n---\n", "opt"),
        ({"_name_or_path": "/home/x"}, "---\nbase_model: me/mine-7b\n---\n", "mine"),
        ({}, "---\nbase_model:\n- me/mine-7b\n- me/other\n---\n# Mine", "mine"),
        ({"_model_name_or_path": "Mine 270m"}, "", "Mine"),
        ({"icl_gap_family": "own", "_name_or_path": "facebook/opt-350m"}, "", "own"),
        ({}, "---\nbase_model: [\n---\n", "some"),
        ({}, "---\n- no mapping\n---\n", "some"),
        ({}, "# no front matter", "some"),
        ({"_name_or_path": 3}, "---\nbase_model: 3\n---\n", "some"),
    ],
)
def test_the_family_of_a_folder(config, card, family, tmp_path: Path) -> None:
    folder = tmp_path / "some-70m"
    folder.mkdir()
    if card:
        (folder / "README.md").write_text(card, encoding="utf-8")
    assert family_of_folder(folder, config) == family
