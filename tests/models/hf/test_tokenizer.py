from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GPT2Tokenizer

from icl_gap.errors import ModelError
from icl_gap.models import RandomInitSpec, TransformersSpec, identify, load_tokenizer
from icl_gap.models.hf.tokenizer import TextTokenizer

FAMILIES = ("opt", "bloom", "codegen")

TEXTS = (
    "Question: Did M1 ' s female actor edit M0\nQuery: SELECT count ( * ) WHERE { ?x0 a.b M1 }",
    "walk  twice\n\n after é 日本 \t jump's 12 ",
    " lead",
    "a</s>b<pad>",
    "",
)


def tokenizer(folder: Path, **options: Any) -> TextTokenizer:
    spec = TransformersSpec.model_validate({"model": str(folder), **options})
    loaded = load_tokenizer(spec, identify(spec))
    assert isinstance(loaded, TextTokenizer)
    return loaded


def settings(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | changes
    kept = {k: v for k, v in config.items() if v is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


@pytest.fixture
def opt(make_model: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_model("opt"), tmp_path / "opt"))


def check_against_transformers(folder: Path) -> None:
    ours, theirs = tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids = theirs.encode(text, add_special_tokens=False)
        assert ours(text) == ours.encode(text) == tuple(ids)
        assert ours.encode_prompt(text) == tuple(theirs.encode(text))
        assert ours.prompt_length(text) == len(theirs.encode(text))
        assert ours.decode(ids) == theirs.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers(make_model: Any, family: str) -> None:
    check_against_transformers(make_model(family))


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers_with_gpt2(
    make_model: Any, gpt2_folder: Path, family: str
) -> None:
    check_against_transformers(make_model(family, gpt2_folder))


def test_vocabulary_and_merges_alone_go_through_transformers(
    make_model: Any, gpt2_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(make_model("opt", gpt2_folder), tmp_path / "opt"))
    (folder / "tokenizer.json").unlink()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(gpt2_folder / name, folder)
    settings(folder, tokenizer_class="GPT2Tokenizer", add_bos_token=True)
    published = GPT2Tokenizer(
        vocab=str(gpt2_folder / "vocab.json"), merges=str(gpt2_folder / "merges.txt")
    )
    check_against_transformers(folder)
    assert tokenizer(folder)(TEXTS[0]) == tuple(published.encode(TEXTS[0]))
    assert tokenizer(folder).bos == (50256,)


def test_bos_policies(make_model: Any, opt: Path) -> None:
    end = Tokenizer.from_file(str(opt / "tokenizer.json")).token_to_id("</s>")
    assert tokenizer(opt).bos == tokenizer(opt, bos="always").bos == (end,)
    assert tokenizer(opt, bos="never").bos == ()
    assert tokenizer(opt, bos="never").prompt_length("ab") == 2
    assert tokenizer(opt).prompt_length("ab") == 3
    assert tokenizer(opt).eos == {end}
    codegen = make_model("codegen")
    assert tokenizer(codegen).bos == ()
    assert len(tokenizer(codegen, bos="always").bos) == 1


def test_the_tokenizers_file_decides_on_bos_as_in_transformers(opt: Path) -> None:
    settings(opt, add_bos_token=False)
    assert len(tokenizer(opt).bos) == 1
    check_against_transformers(opt)


def test_always_wants_a_bos(opt: Path) -> None:
    settings(opt, bos_token=None)
    for name in ("config.json", "generation_config.json"):
        config = json.loads((opt / name).read_text(encoding="utf-8"))
        config["bos_token_id"] = None
        (opt / name).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="no BOS token"):
        tokenizer(opt, bos="always")


def test_truncation_and_padding_in_the_file_do_not_count(opt: Path) -> None:
    path = opt / "tokenizer.json"
    cutting = Tokenizer.from_file(str(path))
    cutting.enable_truncation(3)
    cutting.enable_padding(length=10)
    cutting.save(str(path))
    assert len(tokenizer(opt)("abcdef")) == 6


def test_every_eos_counts(opt: Path) -> None:
    path = opt / "generation_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "eos_token_id": [3, 5]}), encoding="utf-8")
    assert tokenizer(opt).eos >= {3, 5, 256}


def test_a_damaged_tokenizer(opt: Path) -> None:
    (opt / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot read the tokenizer"):
        tokenizer(opt)


def test_no_tokenizer(opt: Path) -> None:
    (opt / "tokenizer.json").unlink()
    (opt / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match="holds no tokenizer"):
        tokenizer(opt)


def test_an_untrained_model_has_the_tokenizer_it_is_saved_with(make_model: Any) -> None:
    for family in FAMILIES:
        spec = RandomInitSpec(family=family)
        made, saved = load_tokenizer(spec, identify(spec)), tokenizer(make_model(family))
        assert made is not None
        for text in TEXTS:
            assert made(text) == saved(text)
            assert made.prompt_length(text) == saved.prompt_length(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"additional_special_tokens": ["walk"]},
        {"extra_special_tokens": {"image_token": "walk"}},
        {"mask_token": "walk"},
        {"add_prefix_space": True, "tokenizer_class": "GPT2Tokenizer"},
    ],
)
def test_settings_beyond_the_file_are_followed_as_transformers_does(
    opt: Path, changes: dict[str, Any]
) -> None:
    settings(opt, **changes)
    ours, theirs = tokenizer(opt), AutoTokenizer.from_pretrained(opt)
    for text in TEXTS:
        assert ours(text) == tuple(theirs.encode(text, add_special_tokens=False))
