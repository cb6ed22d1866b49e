from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import ask, complete
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer
from writing import save_writer

from icl_gap.errors import PromptError
from icl_gap.models import (
    Model,
    TransformersSpec,
    identify,
    load_model,
)
from icl_gap.schema import Completion, Prompt, Response

FAMILIES = ("opt", "bloom", "codegen")

TEXT = st.text(st.sampled_from("walk twice\n()é."), min_size=1, max_size=40)


def loaded(folder: Path, **options: Any) -> Model:
    spec = TransformersSpec.model_validate({"model": str(folder), **options})
    return load_model(spec, identify(spec))


def prompts(*texts: str) -> list[Prompt]:
    return [Prompt(str(n), "", (), text) for n, text in enumerate(texts)]


def run(model: Model, *texts: str, stop: str = "\n", max_new_bytes: int = 12) -> list[Completion]:
    return complete(model, prompts(*texts), stop=stop, max_new_bytes=max_new_bytes)


class Reference:
    """The library's own model, tokenizer and `generate`, one prompt at a time, without padding."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder)
        self.model.generation_config.eos_token_id = None
        self.eos = self.tokenizer.eos_token_id

    def answer(
        self, text: str, stop: str, max_new_bytes: int, tokens: int | None = None
    ) -> Completion:
        prompt = torch.tensor([self.tokenizer.encode(text)])
        tokens = tokens or max_new_bytes + len(stop.encode()) + 1
        out = self.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=tokens,
            pad_token_id=0,
        )
        new = out[0, prompt.shape[1] :].tolist()
        for end in range(len(new)):
            before = self.decode(new[:end])
            if new[end] == self.eos:
                return Completion(before, "eos")
            after = self.decode(new[: end + 1])
            if stop in after:
                return Completion(after[: after.index(stop)], "stop")
            # With a stop of one character, and but for unfinished characters, this is the bound.
            if len(after.rstrip("\ufffd").encode()) > max_new_bytes:
                return Completion(after, "length")
        return Completion(self.decode(new), "length")

    def decode(self, ids: list[int]) -> str:
        return str(
            self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )


@pytest.fixture(scope="module", params=FAMILIES)
def trio(request: pytest.FixtureRequest, make_model: Any) -> tuple[Reference, Model, Model]:
    folder = make_model(request.param)
    return Reference(folder), loaded(folder, kv_cache_tokens=1), loaded(folder)


@settings(max_examples=12)
@given(texts=st.lists(TEXT, min_size=1, max_size=7), stop=st.sampled_from(["\n", "x", "\ufffd"]))
def test_batches_change_nothing(
    trio: tuple[Reference, Model, Model], texts: list[str], stop: str
) -> None:
    reference, one, four = trio
    plain = [reference.answer(text, stop, 9) for text in texts]
    assert run(one, *texts, stop=stop, max_new_bytes=9) == plain
    assert run(four, *texts, stop=stop, max_new_bytes=9) == plain
    assert run(four, *reversed(texts), stop=stop, max_new_bytes=9) == plain[::-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_change_nothing_with_gpt2(make_model: Any, gpt2_folder: Path, family: str) -> None:
    folder = make_model(family, gpt2_folder)
    texts = ["walk", "jump around left twice after run", "Command: look\nActions:", "a b . ( c )"]
    reference, model = Reference(folder), loaded(folder, kv_cache_tokens=64)
    plain = [reference.answer(text, "e", 30) for text in texts]
    assert run(model, *texts, stop="e", max_new_bytes=30) == plain


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    """Makes a model that writes a given chain of tokens: bytes, or some of several bytes."""

    def write(*chain: str, **options: Any) -> Model:
        return loaded(save_writer(tmp_path / "writer", *chain), **options)

    return write


def test_stops_hidden_in_tokens(writer: Any) -> None:
    model = writer("a", "b", "ĊĊ", "c")
    assert run(model, "a", "b") == [Completion("b", "stop"), Completion("", "stop")]
    model = writer("a", "b", ".Ċ", "c")
    assert run(model, "a") == [Completion("b.", "stop")]
    assert run(model, "a", stop="\nc") == [Completion("b.", "stop")]


def test_eos_ends_an_answer(writer: Any) -> None:
    model = writer("a", "b", "<|endoftext|>")
    answers = run(model, "a", "b", max_new_bytes=9)
    assert answers == [Completion("b", "eos"), Completion("", "eos")]


def test_rows_end_once_they_are_too_long(writer: Any) -> None:
    model = writer("a", "b", "ction", "d", "d")
    assert run(model, "a", max_new_bytes=6) == [Completion("bctiond", "length")]
    assert run(model, "a", max_new_bytes=5) == [Completion("bction", "length")]
    assert run(model, "a", max_new_bytes=0) == [Completion("b", "length")]


def test_spaces_are_not_tidied(writer: Any) -> None:
    model = writer("a", "b", "Ġ.", "Ġ,", "Ċ")
    assert run(model, "a") == [Completion("b . ,", "stop")]


def test_the_models_decoding_settings_do_not_count(make_model: Any, tmp_path: Path) -> None:
    folder = make_model("opt")
    plain = run(loaded(folder), "walk", "jump twice")
    bent = Path(shutil.copytree(folder, tmp_path / "bent"))
    choices = {
        "do_sample": True,
        "temperature": 5.0,
        "repetition_penalty": 9.0,
        "no_repeat_ngram_size": 1,
        "min_new_tokens": 50,
        "max_length": 3,
        "suppress_tokens": list(range(100)),
        "forced_eos_token_id": 256,
        "num_beams": 3,
    }
    path = bent / "generation_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | choices), encoding="utf-8")
    assert run(loaded(bent), "walk", "jump twice") == plain


def test_a_full_context_ends_a_row_and_not_its_neighbours(make_model: Any) -> None:
    folder = make_model("opt", context_length=24)
    reference, model = Reference(folder), loaded(folder, kv_cache_tokens=64)
    texts = ["a" * 20, "bc", "d" * 22]  # one token more for BOS
    answers = run(model, *texts, stop="\0", max_new_bytes=15)
    assert answers[1] == reference.answer(texts[1], "\0", 15)
    for text, answer in zip(texts, answers, strict=True):
        alone = run(model, text, stop="\0", max_new_bytes=15)
        assert alone == [answer]
    assert answers[0] == reference.answer(texts[0], "\0", 15, tokens=3)
    assert answers[2] == reference.answer(texts[2], "\0", 15, tokens=1)


def test_a_prompt_that_leaves_no_room(make_model: Any) -> None:
    model = loaded(make_model("opt", context_length=24))
    long, short = ask(model, prompts("a" * 23, "a"))
    assert isinstance(long, PromptError)
    assert "takes 24 tokens" in str(long)
    assert isinstance(short, Response)


def test_an_empty_prompt_needs_a_bos(make_model: Any) -> None:
    assert len(run(loaded(make_model("opt")), "")) == 1
    (error,) = ask(loaded(make_model("codegen")), prompts(""))
    assert isinstance(error, PromptError)
    assert "an empty prompt" in str(error)
