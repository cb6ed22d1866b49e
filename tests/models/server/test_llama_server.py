"""llama.cpp's server on loopback, which gives no log-probabilities of prompts and says nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import records_by_request, running
from tiny_gguf import tiny_llama, write_gguf
from toys import sweep

from icl_gap.errors import ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import OpenAISpec, identify, load_model

pytestmark = pytest.mark.slow
FIELDS: dict[str, Any] = {"shots": [2], "seeds": [0], "limit": 4, "predictions": "full"}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_llama())
    return path


@pytest.fixture(scope="module")
def url(llama_server, file) -> Iterator[str]:

    def command(port: int) -> list[str]:
        where = ("--host", "127.0.0.1", "--port", str(port))
        return [llama_server, "-m", str(file), *where, "-c", "2048", "--alias", "tiny"]

    with running(command, file.with_name("log")) as address:
        yield address


def entry(url: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "openai", "model": "tiny", "base_url": url, **fields}


def test_it_is_found_out_by_its_values(url, caplog) -> None:
    spec = OpenAISpec.model_validate(entry(url))
    with caplog.at_level(logging.WARNING):
        info = load_model(spec, identify(spec)).info
    assert (info.api, info.prompt_logprobs) == ("completions", "none")
    assert not caplog.text
    stated = spec.model_copy(update={"logprobs": "echo"})
    with pytest.raises(ModelError, match="`logprobs: echo`, and the server gives no log-prob"):
        load_model(stated, identify(stated))


def test_its_responses_are_those_of_the_local_backend(url, file, toy_card, tmp_path) -> None:
    local = {"model": str(file.parent), "gguf": file.name}
    here, there = (
        evaluate_sweep(sweep(toy_card, models=[model], **FIELDS), tmp_path / name)
        for name, model in (("here", local), ("there", entry(url)))
    )
    assert {info.provenance["prompt_logprobs"] for info in there.infos} == {"none"}
    ours, theirs = records_by_request(here), records_by_request(there)
    assert ours.keys() == theirs.keys()
    for at, mine in ours.items():
        assert (theirs[at].prediction, theirs[at].scores) == (mine.prediction, mine.scores)


def test_its_chat_is_read(url, toy_card, tmp_path) -> None:
    chat = entry(url, api="chat", max_completion_tokens=20)
    results = evaluate_sweep(sweep(toy_card, models=[chat], **FIELDS), tmp_path / "r")
    for cell in results:
        assert cell.info.provenance["api"] == "chat"
        for record in cell.records:
            assert record.status == "scored"
            assert record.usage.completion_tokens <= 20
