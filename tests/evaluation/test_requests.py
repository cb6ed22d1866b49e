"""Requests of chats: what holds for every prompt holds for messages that a template writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chatting import CHATML, GEMMA, LLAMA_2, chatting_tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import sweep, write_toy

from icl_gap.errors import InferenceError, PromptError
from icl_gap.evaluation.planning import Plan, plan_sweep
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.models import Request, load_tokenizer
from icl_gap.schema import ModelInfo

Key = tuple[str, str, int, int, str]


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_toy(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    named = {"chatml": CHATML, "gemma": GEMMA, "llama": LLAMA_2}
    return {name: chatting_tiny(place / name, text) for name, text in named.items()}


def planned(toys: str, folder: Path, fields: dict[str, Any], **changes: Any) -> Plan:
    model = {"model": str(folder), "chat_template": "auto", **fields}
    return plan_sweep(sweep(toys, models=[model], **changes))


def by_query(plan: Plan) -> dict[Key, Request]:
    found = {}
    for cell in plan.cells:
        info = cell.info
        for request in plan.requests(cell):
            at = info.query_split, info.condition, info.shots, info.seed
            found[(*at, request.query_id)] = request
    return found


layouts = st.fixed_dictionaries(
    {"exemplars": st.sampled_from(["turns", "text"])},
    optional={"system": st.sampled_from(["", "Be brief."])},
)
selections = st.sampled_from(["oracle_coverage", "random", "bm25"])


@settings(max_examples=20)
@given(
    name=st.sampled_from(["chatml", "gemma", "llama"]),
    fields=layouts,
    selection=selections,
    shots=st.permutations([0, 2, 3]),
    seeds=st.permutations([0, 1]),
    limit=st.integers(1, 5),
)
def test_prompts_depend_on_query_seed_and_pool_alone(
    toys, folders, name, fields, selection, shots, seeds, limit
) -> None:
    more = {"selection": selection}
    whole = by_query(planned(toys, folders[name], fields, **more, shots=[0, 2, 3], limit=6))
    part = by_query(
        planned(toys, folders[name], fields, **more, shots=shots, seeds=seeds, limit=limit)
    )
    assert len(part) == 2 * 2 * 3 * 2 * limit
    for at, request in part.items():
        assert request.prompt == whole[at].prompt
        assert request.gold == whole[at].gold
    sides = [{(at[0], *at[2:]) for at in part if at[1] == each} for each in ("id", "ood")]
    assert sides[0] == sides[1]


@settings(max_examples=20)
@given(name=st.sampled_from(["chatml", "gemma", "llama"]), fields=layouts, selection=selections)
def test_a_query_is_in_the_last_message_and_in_no_exemplar(
    toys, folders, name, fields, selection
) -> None:
    plan = planned(toys, folders[name], fields, selection=selection)
    (model,) = plan.models
    tokenizer = load_tokenizer(model.spec, model.identity)
    for request in by_query(plan).values():
        asked = f"Q: {request.prompt.source}\nA:"
        *before, last = request.prompt.messages
        assert last.role == "user"
        assert last.content.endswith(asked)
        shown = "\n".join(each.content for each in before) + last.content.removesuffix(asked)
        assert f"Q: {request.prompt.source}\n" not in shown
        assert request.prompt.text.count(f"Q: {request.prompt.source}\n") == 1
        for exemplar in request.prompt.exemplars:
            assert shown.count(f"Q: {exemplar.source}\n") == 1
        ids = tokenizer.encode_prompt(request.prompt.text)
        assert request.tokens == len(ids) == tokenizer.prompt_length(request.prompt.text)
        assert ids.count(tokenizer.encode("</s>")[0]) == request.prompt.text.count("</s>")


@pytest.mark.parametrize("name", ["chatml", "gemma", "llama"])
def test_one_shot_more_goes_on_from_the_same_turns(toys, folders, name) -> None:
    """So chains of shots share tokens."""
    fields = {"shots": [1, 2, 3], "order": "selection"}
    found = by_query(planned(toys, folders[name], {}, **fields))
    for (split, condition, shots, seed, query), request in found.items():
        if shots > 1:
            fewer = found[split, condition, shots - 1, seed, query].prompt.messages
            assert request.prompt.messages[: len(fewer) - 1] == fewer[:-1]


@pytest.mark.parametrize("overflow", ["error", "skip", "drop_shots"])
def test_a_prompt_that_does_not_fit_is_never_cut(toys, tmp_path, overflow) -> None:
    folder = chatting_tiny(tmp_path / "m", CHATML, context_length=300)
    fields = {"shots": [5], "seeds": [0], "limit": 3, "overflow": overflow}
    if overflow == "error":
        with pytest.raises(PromptError, match=r"(?s)does not fit the context.*thinking_tokens"):
            planned(toys, folder, {"thinking_tokens": 9}, **fields)
        return
    requests = by_query(planned(toys, folder, {"thinking_tokens": 9}, **fields))
    for (split, _, shots, seed, query), request in requests.items():
        text = request.prompt.text
        assert text.startswith("<|im_start|>system\nAnswer.")
        assert text.endswith("<|im_start|>assistant\n")
        if overflow == "skip":
            assert not request.fits
            continue
        assert 0 < request.prompt.shots < shots
        assert request.tokens + len(request.gold) + 64 + 9 < 300
        twin = requests[split, "ood", shots, seed, query]
        assert twin.prompt.shots == request.prompt.shots


@pytest.mark.parametrize(
    ("thinking", "known"), [(["<think>", "</think>"], False), ("none", True), (["a", "t\n"], True)]
)
def test_a_gold_text_is_known_where_the_answer_begins_at_once(
    toys, folders, thinking, known
) -> None:
    """The last tags are such that the prompt ends with what closes the thoughts."""
    fields = {"thinking": thinking, "thinking_tokens": 9}
    requests = by_query(planned(toys, folders["chatml"], fields))
    for request in requests.values():
        assert request.gold == (request.target if known else "")
        assert request.extra_tokens == 64 + 9


def test_a_failed_request_is_no_wrong_answer(toys, folders) -> None:
    class Failing:
        info = ModelInfo("m", "m", None, None, None, chat=True)

        def respond(self, requests: Any, **_: Any) -> Any:
            yield from ((each.id, InferenceError("no power")) for each in requests)

    plan = planned(toys, folders["chatml"], {})
    cells = {cell.info.key: cell for cell in plan.cells}
    requests = [each for cell in plan.cells for each in plan.requests(cell)]
    ids = [each.id for each in requests]
    found = dict(run_requests(requests, ids, Failing(), cells, plan.sweep))
    assert found.keys() == {*ids}
    for record in found.values():
        assert (record.status, record.reason) == ("failed", "no power")
        assert (record.scores, record.chat, record.prediction) == ({}, None, None)
