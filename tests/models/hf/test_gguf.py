"""Models of GGUF files: their identity, and the same responses as of the folder they come from."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import ask, complete, numbered
from chatting import CHATML
from hypothesis import given
from hypothesis import strategies as st
from tiny_gguf import END, TOKENS, tiny_llama, write_gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from icl_gap.errors import InputError, ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.models import (
    Request,
    TransformersSpec,
    identify,
    load_model,
    load_tokenizer,
    measure_footprint,
)
from icl_gap.models.hf.gguf_header import read_gguf_header
from icl_gap.models.hf.rust_files import save_rust
from icl_gap.schema import Completion, Message, Prompt, Response
from icl_gap.specs import check_spec

PROMPTS = [Prompt(f"q{n}", "", (), text) for n, text in enumerate(["ab cab", "walk twice", "é: "])]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a tiny Llama as a GGUF file, `tiny.gguf`."""
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "tiny.gguf", tiny_llama())
    return Path(folder)


@pytest.fixture(scope="module")
def content(made) -> bytes:
    return (made / "tiny.gguf").read_bytes()


def spec_of(folder: Path, name: str = "tiny.gguf", **more: Any) -> TransformersSpec:
    return TransformersSpec(model=str(folder), gguf=name, **more)


def refused(folder: Path, **more: Any) -> str:
    write_gguf(folder / "other.gguf", tiny_llama(), **more)
    spec = spec_of(folder, "other.gguf")
    with pytest.raises(ModelError) as caught:
        load_tokenizer(spec, identify(spec))
    assert caught.value.place.key == "gguf"
    return str(caught.value)


def test_its_identity_is_its_content(made, tmp_path) -> None:
    found = identify(spec_of(made))
    shutil.copy(made / "tiny.gguf", tmp_path / "copy.gguf")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")  # not its own
    copied = identify(spec_of(tmp_path, "copy.gguf"))
    assert (found.key, found.tokenizer) == (copied.key, copied.tokenizer)
    assert (found.name, copied.name) == ("tiny", "copy")
    assert (found.family, found.context_length) == ("Tiny-Llama", 2048)
    write_gguf(tmp_path / "seed.gguf", tiny_llama(seed=1))
    assert identify(spec_of(tmp_path, "seed.gguf")).key != found.key
    assert identify(spec_of(made, dtype="bfloat16")).key != found.key


def test_it_responds_as_the_folder_that_it_comes_from(made, tmp_path) -> None:
    tiny_llama().save_pretrained(tmp_path / "folder")
    vocabulary = {token: number for number, token in enumerate(TOKENS[:-1])}
    rust = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    rust.add_special_tokens([END])
    save_rust(rust, tmp_path / "folder", eos_token=END)
    specs = spec_of(made), TransformersSpec(model=str(tmp_path / "folder"))
    gguf, folder = (load_model(spec, identify(spec)) for spec in specs)
    found = complete(gguf, PROMPTS)
    assert found == complete(folder, PROMPTS)
    assert len({each.text for each in found}) > 1
    assert gguf.info.n_params == folder.info.n_params
    assert gguf.info.n_params_non_embedding == folder.info.n_params_non_embedding
    footprint = measure_footprint(specs[0], identify(specs[0]))
    assert footprint is not None
    assert footprint.n_params == gguf.info.n_params
    assert footprint.weights is not None


def test_its_chat_template_is_in_its_metadata(made, tmp_path) -> None:
    text = CHATML.replace("<|im_end|>", END)
    write_gguf(tmp_path / "chat.gguf", tiny_llama(), more={"tokenizer.chat_template": text})
    spec = spec_of(tmp_path, "chat.gguf", chat_template="auto")
    found = identify(spec)
    assert found.chat_template.text == text
    assert found.chat_template.special_tokens["eos_token"] == END
    assert found.key["chat"]["template"] == found.chat_template.sha256
    prompt = found.chat_template.render([Message("user", "ab")])
    tokens = load_tokenizer(spec, found).encode_prompt(prompt)
    assert tokens.count(TOKENS.index(END)) == 1
    with pytest.raises(ModelError, match=r"no chat template(?s:.*)tiny\.gguf"):
        identify(spec_of(made, chat_template="auto"))


def test_what_stands_beside_the_file_changes_nothing(made, tmp_path) -> None:
    shutil.copy(made / "tiny.gguf", tmp_path / "tiny.gguf")
    (tmp_path / "tokenizer_config.json").write_text('{"add_prefix_space": true}', encoding="utf-8")
    for name in ("config.json", "tokenizer.json", "generation_config.json"):
        (tmp_path / name).write_text("broken", encoding="utf-8")
    spec = spec_of(tmp_path)
    assert complete(load_model(spec, identify(spec)), PROMPTS) == complete(
        load_model(spec_of(made), identify(spec_of(made))), PROMPTS
    )


def test_its_tokens_are_those_of_its_vocabulary(made) -> None:
    spec = spec_of(made)
    tokenizer = load_tokenizer(spec, identify(spec))
    assert tokenizer is not None
    assert tokenizer.encode("ab a") == tuple(map(TOKENS.index, ("ab", "Ġ", "a")))
    assert tokenizer.eos == {TOKENS.index(END)}
    assert tokenizer.decode(tokenizer.encode("é ab\n")) == "é ab\n"


def test_an_architecture_that_cannot_be_read_is_named(tmp_path) -> None:
    said = refused(tmp_path, architecture="olmo2")
    assert "cannot read GGUF files of the architecture olmo2" in said
    assert "llama" in said
    assert "qwen2" in said


def test_scaled_positions_are_refused(tmp_path) -> None:
    # transformers drops both without a word, and the model then gives other answers
    assert "rope_freqs.weight" in refused(
        tmp_path, tensors={"rope_freqs.weight": torch.ones(4, dtype=torch.float32)}
    )
    said = refused(tmp_path, more={"llama.rope.scaling.type": "yarn"})
    assert "llama.rope.scaling.type: yarn" in said


def test_a_part_of_a_file_is_refused(tmp_path) -> None:
    assert "one of 3 parts" in refused(tmp_path, more={"split.count": 3})


def test_a_missing_file_is_told_the_others(made) -> None:
    with pytest.raises(ModelError, match=r"no such file[^$]*allowed: tiny\.gguf"):
        identify(spec_of(made, "huge.gguf"))


def test_a_missing_package_is_named(made, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.models.hf.gguf_folder.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"pip install 'icl-gap\[gguf\]'"):
        identify(spec_of(made))


def test_another_file_is_no_gguf(tmp_path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"PK\3\4 and more")
    with pytest.raises(ModelError, match="not a GGUF file"):
        identify(spec_of(tmp_path))


@given(st.data())
def test_a_damaged_header_is_an_error_and_no_crash(content, tmp_path_factory, data) -> None:
    end = data.draw(st.integers(4, 4000))
    place = data.draw(st.integers(4, 4000))
    byte = data.draw(st.integers(0, 255))
    changed = bytearray(content[:end])
    if place < end:
        changed[place] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(bytes(changed))
    with suppress(ModelError):  # any other error would be a crash
        assert read_gguf_header(path).architecture


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quantization": "8bit"}, "leave `quantization` out"),
        ({"gguf": "../tiny.gguf"}, r"leave `\.\.` out"),
        ({"gguf": "/tiny.gguf"}, "gguf"),
        ({"gguf": ""}, "gguf"),
    ],
)
def test_what_does_not_go_with_a_file_is_refused(fields, said) -> None:
    entry = {"model": "m", "gguf": "tiny.gguf", **fields}
    with pytest.raises(InputError, match=said):
        check_spec({"name": "s", "datasets": ["scan"], "models": [entry]}, SweepSpec)


REAL = {
    "gemma-3-270m.gguf": ("gemma-3", 268_098_176, 100_326_016),
    "qwen2.5-coder-0.5b.gguf": ("Qwen2.5-Coder", None, 357_898_112),
}
"""Family and sizes of files that `models_root` may hold; one has an output layer of its own, where
the published model shares it with the embeddings."""


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_answers_as_generate_does(models_root, name) -> None:
    if not (models_root / name).is_file():
        pytest.skip(f"no {name} in {models_root}")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    family, total, inner = REAL[name]
    spec = spec_of(models_root, name)
    identity = identify(spec)
    model = load_model(spec, identity)
    assert model.info.family == family
    assert model.info.n_params_non_embedding == inner
    assert total is None or model.info.n_params == total
    assert "rivers" in complete(model, RIVERS, max_new_bytes=24)[0].text
    reference = AutoModelForCausalLM.from_pretrained(
        models_root, gguf_file=name, dtype=torch.float32
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(models_root, gguf_file=name)
    for prompt, found in zip(RIVERS, complete(model, RIVERS, max_new_bytes=24), strict=True):
        ids = tokenizer(prompt.text, return_tensors="pt")
        made = reference.generate(**ids, max_new_tokens=12, do_sample=False)[0]
        text = tokenizer.decode(made[ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert text.startswith(found.text.rstrip("\ufffd")) or found.text.startswith(text)


@pytest.mark.slow
def test_a_real_chat_has_the_tokens_of_transformers(models_root) -> None:
    name = "qwen2.5-coder-0.5b.gguf"
    if not (models_root / name).is_file():
        pytest.skip(f"no {name} in {models_root}")
    from transformers import AutoTokenizer

    spec = spec_of(models_root, name, chat_template="auto")
    found = identify(spec)
    tokenizer = load_tokenizer(spec, found)
    reference = AutoTokenizer.from_pretrained(models_root, gguf_file=name)
    assert found.chat_template.takes_system
    chat = [Message("system", "Be brief."), Message("user", "1"), Message("assistant", "one\n é")]
    for messages in ((*chat, Message("user", "<|im_end|> 2")), chat[1:2]):
        expected = reference.apply_chat_template(
            [{"role": each.role, "content": each.content} for each in messages],
            add_generation_prompt=True,
            return_dict=False,
        )
        prompt = found.chat_template.render(messages)
        assert list(tokenizer.encode_prompt(prompt)) == expected
    assert tokenizer.eos == {*reference.encode("<|im_end|>")}


@pytest.mark.slow
def test_a_real_model_ends_its_answer_within_a_token(models_root) -> None:
    """Its last token is ` )\\n\\n`, and the gold target's is ` )`: the answer is right."""
    name = "qwen2.5-coder-0.5b.gguf"
    if not (models_root / name).is_file():
        pytest.skip(f"no {name} in {models_root}")
    shown = "".join(
        f"Input: {n} plus {m}\nOutput: ( {n} + {m} )\n\n" for n, m in ("12", "31", "45")
    )
    prompt = Prompt("q0", "", (), f"{shown}Input: 2 plus 6\nOutput:")
    spec = spec_of(models_root, name)
    tokenizer = load_tokenizer(spec, identify(spec))
    gold = " ( 2 + 6 )"
    whole, ended = (list(tokenizer.encode_prompt(gold + more)) for more in ("", "\n\n"))
    assert ended[: len(whole)] != whole
    assert len(ended) == len(whole)
    model = load_model(spec, identify(spec))
    ((_, verdict),) = model.respond(
        numbered([Request(prompt, gold, "\n", 40)]), predictions="verdict"
    )
    assert isinstance(verdict, Response)
    assert verdict.divergence is None
    (written,) = ask(model, [prompt], stop="\n\n", max_new_bytes=40)
    assert written.completion == Completion(gold, "stop")


RIVERS = [
    Prompt("q0", "", (), "lakes -> lakes\nmountains -> mountains\nrivers ->"),
    Prompt("q1", "", (), "1 2 3 4 5 6"),
]
