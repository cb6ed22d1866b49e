from __future__ import annotations

from pathlib import Path

import pytest
from asking import ask, complete

from icl_gap.errors import InferenceError, ModelError
from icl_gap.models import MockSpec, Model, identify, load_model, load_tokenizer
from icl_gap.schema import Completion, Prompt, Response


def model(spec: MockSpec) -> Model:
    return load_model(spec, identify(spec))


def prompt(query_id: str) -> Prompt:
    return Prompt(query_id, "", (), "")


def script(folder: Path, *lines: str) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_answers_by_query_id(tmp_path: Path) -> None:
    path = script(
        tmp_path, '{"query_id": "a", "text": "one\\ntwo"}', '{"query_id": "b", "error": "broken"}'
    )
    spec = MockSpec(answers=path, default="else", n_params=7, family="f", name="fake")
    one, other, error = ask(model(spec), map(prompt, "acb"))
    assert one == Response(Completion("one", "stop"))
    assert other == Response(Completion("else", "stop"))
    assert isinstance(error, InferenceError)
    assert str(error) == "fake failed on b: broken"
    info = model(spec).info
    assert (info.name, info.family, info.n_params) == ("fake", "f", 7)
    assert load_tokenizer(spec, identify(spec)) is None


@pytest.mark.parametrize("line", ["{", '{"query_id": "a"}', '{"text": "a"}', "[]", "1"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = script(tmp_path, '{"query_id": "a", "text": ""}', line)
    with pytest.raises(ModelError, match="line 2: not an answer"):
        model(MockSpec(answers=path))


def test_empty_lines_and_strange_line_ends_in_answers(tmp_path: Path) -> None:
    path = script(tmp_path, "", '{"query_id": "a", "text": "one\u2028two"}', "")
    answers = complete(model(MockSpec(answers=path)), [prompt("a")])
    assert answers == [Completion("one\u2028two", "stop")]


def test_a_missing_script_is_told_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the answers"):
        identify(MockSpec(answers=tmp_path / "none.jsonl"))


def test_the_key_follows_the_answers(tmp_path: Path) -> None:
    spec = MockSpec(answers=script(tmp_path, '{"query_id": "a", "text": "1"}'))
    before = identify(spec).key
    script(tmp_path, '{"query_id": "a", "text": "2"}')
    assert identify(spec).key != before
