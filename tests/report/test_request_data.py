"""What the page holds of each request: nothing lost, and nothing twice."""

from __future__ import annotations

import gzip
import io
import json
from array import array
from base64 import b64decode
from dataclasses import asdict, fields
from itertools import permutations
from typing import Any

import pytest
from analysis import synthetic
from studies import right_or_wrong, save_card, save_study
from toys import sweep

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.evaluation.texts import SweepTexts, read_texts
from icl_gap.report.compressed import CompressedBlocks, browser_json
from icl_gap.report.request_data import PROMPT_FIELDS, RESPONSE_FIELDS, RequestData
from icl_gap.results import Results
from icl_gap.schema import Record, Usage


def unpacked(blocks: CompressedBlocks) -> list[bytes]:
    return [gzip.decompress(b64decode(block)) for block in blocks]


def embed(results, texts: SweepTexts) -> tuple[dict, list[bytes]]:
    blocks = CompressedBlocks(io.BytesIO())
    requests = RequestData(blocks, texts, "raw")
    for cell in results:
        requests.add(cell)
    start = requests.finish()
    content = unpacked(blocks)
    return json.loads(content[start]), content


@pytest.fixture
def study(tmp_path) -> Results:
    return save_study(tmp_path / "s", save_card(tmp_path / "data"))


def test_every_field_of_a_record_is_kept() -> None:
    kept = {"query_id", "exemplar_ids", "divergence", *PROMPT_FIELDS, *RESPONSE_FIELDS}
    assert kept == {field.name for field in fields(Record)}


def test_records_come_back_whole(study) -> None:
    about, content = embed(study, read_texts(study.sweep))
    places = array("I", content[about["positions"]])
    texts = [row for block in about["texts"] for row in json.loads(content[block])]
    query = array("I", content[about["columns"][0]])
    start = 0
    for cell, kept in zip(study, about["cells"], strict=True):
        ((lists, shared, answer),) = kept["blocks"]
        flat = array("I", content[lists])
        lengths, ids = flat[: len(cell.records)], iter(flat[len(cell.records) :])
        for n, record in enumerate(cell.records):
            assert texts[places[query[start + n]]][0] == record.query_id
            exemplars = [texts[places[next(ids)]][0] for _ in range(lengths[n])]
            assert tuple(exemplars) == record.exemplar_ids
            assert json.loads(content[shared])[n] == [
                getattr(record, name) for name in PROMPT_FIELDS
            ]
            left, *rest = json.loads(content[answer])[n]
            assert rest == [getattr(record, name) for name in RESPONSE_FIELDS]
            assert (left is None) == (record.divergence is None)
        start += len(cell.records)
    assert start == len(query)


def test_twins_are_the_same_cell_under_the_other_condition(study) -> None:
    about, _ = embed(study, SweepTexts())
    for n, cell in enumerate(about["cells"]):
        twin = about["cells"][cell["twin"]]
        assert twin["twin"] == n
        assert {twin["condition"], cell["condition"]} == {"id", "ood"}
        same = ("model", "dataset", "split", "query_split", "shots", "seed")
        assert all(twin[name] == cell[name] for name in same)


@pytest.mark.parametrize("order", [*permutations(("id", "ood", "ood_matched"))])
def test_a_matched_request_stands_beside_its_id_twin(tmp_path, order) -> None:
    card = save_card(tmp_path / "data")
    study = save_study(tmp_path / "s", card, conditions=order)
    about, _ = embed(study, SweepTexts())
    twins = {"id": "ood", "ood": "id", "ood_matched": "id"}
    for cell in about["cells"]:
        twin = about["cells"][cell["twin"]]
        assert twin["condition"] == twins[cell["condition"]]
        same = ("model", "dataset", "split", "query_split", "shots", "seed")
        assert all(twin[name] == cell[name] for name in same)


def test_examples_and_shared_prompts_are_kept_once(study) -> None:
    about, content = embed(study, read_texts(study.sweep))
    ids = [row[0] for block in about["texts"] for row in json.loads(content[block])]
    assert len(ids) == len(set(ids))
    small, large = (
        [cell["blocks"][0][:2] for cell in about["cells"] if cell["model"] == model]
        for model in ("small", "large")
    )
    assert small == large


def test_queries_come_first_among_texts(study) -> None:
    about, content = embed(study, SweepTexts())
    places = array("I", content[about["positions"]])
    queries = {places[n] for n in array("I", content[about["columns"][0]])}
    assert queries == set(range(len(queries)))
    first = json.loads(content[about["texts"][0]])[0]
    assert first[1:] == [None, None]


def test_what_json_cannot_hold_becomes_text() -> None:
    assert json.loads(browser_json({"a": [1.5, float("-inf")], "b": "\ud800"})) == {
        "a": [1.5, "-inf"],
        "b": "\ud800",
    }


def test_statuses_that_are_no_score_are_outcomes_of_their_own(tmp_path) -> None:
    def answers(asked) -> dict[str, Any]:
        return {"status": "skipped"} if asked.n else right_or_wrong(asked)

    results = save_study(tmp_path / "s", save_card(tmp_path / "data"), answers)
    about, content = embed(results, SweepTexts())
    assert about["outcomes"] == ["wrong", "right", "not known", "skipped"]
    assert list(content[about["columns"][1]][:3]) == [1, 3, 3]


def test_what_a_server_counted_is_kept_as_an_object(tmp_path) -> None:
    def answers(asked) -> dict[str, Any]:
        usage = None if asked.n else Usage(prompt_tokens=1_200, completion_tokens=3)
        return {**right_or_wrong(asked), "usage": usage}

    about, content = embed(
        save_study(tmp_path / "s", save_card(tmp_path / "data"), answers), SweepTexts()
    )
    at = about["response"].index("usage")
    first, second, *_ = json.loads(content[about["cells"][0]["blocks"][0][2]])
    assert first[at] == asdict(Usage(prompt_tokens=1_200, completion_tokens=3))
    assert second[at] is None


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("form", ["text", "turns"])
def test_the_form_of_messages_is_that_of_the_model(form, local) -> None:
    chat = {"exemplars": form, "system": "Hm."}
    spec = {"model": {"kind": "transformers", "chat": chat} if local else chat}
    about = {"api": "chat", "answer": "first_line"}
    requests = RequestData(blocks := CompressedBlocks(io.BytesIO()), SweepTexts(), "raw")
    requests.add(synthetic.cell("id", [True], spec=spec, provenance=about))
    start = requests.finish()
    found = json.loads(unpacked(blocks)[start])
    assert found["cells"][0]["chat"] == {**chat, "answer": "first_line"}


def test_a_shuffled_exemplar_shows_the_source_of_one_and_the_target_of_another(
    toy_card, tmp_path
) -> None:
    spec = sweep(toy_card, control="shuffled_targets", shots=[2], seeds=[0])
    results = evaluate_sweep(spec, tmp_path / "out")
    texts = read_texts(results.sweep)
    about, content = embed(results, texts)
    places = array("I", content[about["positions"]])
    rows = [row for block in about["texts"] for row in json.loads(content[block])]
    for cell, kept in zip(results, about["cells"], strict=True):
        flat = array("I", content[kept["blocks"][0][0]])
        numbers = iter(flat[len(cell.records) :])
        for record, shown in zip(cell.records, texts.shown(cell.info, cell.records), strict=True):
            assert record.exemplar_target_ids is not None
            found = [rows[places[next(numbers)]] for _ in shown]
            assert found == [[each.id, each.source, each.target] for each in shown]
