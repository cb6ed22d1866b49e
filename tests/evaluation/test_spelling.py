from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from toys import TOY_CARD, sweep

from icl_gap.errors import ModelError
from icl_gap.evaluation.planning import outline_sweep, plan_sweep
from icl_gap.models.hf.rust_files import save_rust

UNKNOWN, END = "<unk>", "</s>"
READ = ["Answer.", "Q:", "A:", *"abcdef", *"0123456789"]


def word_tokenizer(
    folder: Path, words: list[str], cut: pre_tokenizers.PreTokenizer | None = None
) -> str:
    """Save a tokenizer with one token a word, which are written with spaces between them."""
    vocabulary = {word: n for n, word in enumerate((UNKNOWN, END, *words))}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    rust.pre_tokenizer = cut or pre_tokenizers.WhitespaceSplit()
    rust.add_special_tokens([UNKNOWN, END])
    folder.mkdir()
    save_rust(rust, folder, unk_token=UNKNOWN, eos_token=END)
    return str(folder)


def model(tokenizer: str) -> dict[str, object]:
    return {"kind": "random_init", "family": "opt", "name": "words", "tokenizer": tokenizer}


def test_targets_that_a_tokenizer_loses_are_an_error_of_the_plan(toy_card, tmp_path) -> None:
    tokenizer = word_tokenizer(tmp_path / "words", [*READ, *"ABC"])
    with pytest.raises(ModelError) as raised:
        outline_sweep(sweep(toy_card, models=["nearest", model(tokenizer)]))
    error = raised.value
    assert error.place.key == "models[1]"
    assert "words cannot write 4 of the 8 targets of toy/plain" in error.problem
    first, *_ = error.problem.partition("the first: ")[2].split("; ")
    id_, target = first.split(", read back as ")[0].split(maxsplit=1)
    assert id_.startswith("toy-")
    assert target[1] in "DEF"
    assert "different sweeps" in str(error)


def test_a_tokenizer_that_knows_every_word_passes(toy_card, tmp_path) -> None:
    tokenizer = word_tokenizer(tmp_path / "words", [*READ, *"ABCDEF"])
    assert plan_sweep(sweep(toy_card, models=[model(tokenizer)])).cells


def test_only_targets_that_are_asked_count(toy_card, tmp_path) -> None:
    tokenizer = word_tokenizer(tmp_path / "words", [*READ, *"ABC"])
    asked = sweep(toy_card, models=[model(tokenizer)], query_splits=["train"])
    assert outline_sweep(asked).cells


def test_a_label_that_is_lost_is_an_error(toy_card, tmp_path) -> None:
    tokenizer = word_tokenizer(tmp_path / "words", [w for w in [*READ, *"ABCDEF"] if w != "A:"])
    with pytest.raises(ModelError, match="loses a label of toy/plain") as raised:
        outline_sweep(sweep(toy_card, models=[model(tokenizer)]))
    assert raised.value.value == "'A:' becomes ''"


def test_spaces_that_are_put_in_count_where_only_the_string_is_compared(tmp_path) -> None:
    (tmp_path / "toy").mkdir()
    for side, verbs in (("train", "abc"), ("test", "def")):
        rows = [f"{verb} {n}\tanswer({verb}_{n})" for verb in verbs for n in range(10)]
        (tmp_path / "toy" / f"{side}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    card = tmp_path / "toy.yaml"
    card.write_text(TOY_CARD.replace("tokens", "funql"), encoding="utf-8")
    names = [f"{verb}_{n}" for verb in "abcdef" for n in range(10)]
    words = [*READ, "Answer", ".", "Q", "A", ":", "answer", "(", ")", *names]
    tokenizer = word_tokenizer(tmp_path / "words", words, pre_tokenizers.Whitespace())
    assert outline_sweep(sweep(str(card), models=[model(tokenizer)])).cells
    with pytest.raises(ModelError, match="cannot write 8 of the 8 targets"):
        outline_sweep(sweep(str(card), models=[model(tokenizer)], canonical=False))


@pytest.mark.parametrize("benchmark", ["scan", {"name": "scan", "split": "length"}])
def test_the_models_that_ship_write_their_benchmark(benchmark) -> None:
    shipped = ["nano-codegen-m", "nano-bloom-s", "nano-opt-l"]
    assert outline_sweep(sweep(benchmark, models=shipped)).cells


def test_a_model_that_ships_cannot_write_another_benchmark() -> None:
    with pytest.raises(ModelError, match="nano-codegen-m cannot write 8 of the 8 targets of logic"):
        outline_sweep(sweep("logic", models=["nano-codegen-m"]))
