"""vLLM on loopback, against the local backend on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import CHAT_TEMPLATE, records_by_request, running
from toys import sweep
from transformers import AutoTokenizer

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import OpenAISpec, identify, load_model
from icl_gap.models.shipped import shipped_folder
from icl_gap.schema import Record

pytestmark = pytest.mark.slow
NAME = "nano-opt-l"
"""A model whose heads have a width that vLLM has kernels for on a CPU."""
FOLDER = shipped_folder(NAME)
FIELDS: dict[str, Any] = {"shots": [5], "seeds": [0], "limit": 8, "selection": "oracle_coverage"}


@pytest.fixture(scope="module", params=["--enable-prefix-caching", "--no-enable-prefix-caching"])
def url(request, vllm_python, tmp_path_factory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("vllm")
    template = folder / "template.jinja"
    template.write_text(CHAT_TEMPLATE)

    def command(port: int) -> list[str]:
        return [
            *(vllm_python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(FOLDER)),
            *("--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)),
            *("--dtype", "float32", "--max-model-len", "1024", "--max-num-seqs", "8"),
            *("--chat-template", str(template), "--enforce-eager", request.param),
        ]

    variables = {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with running(command, folder / "log", variables, seconds=400) as address:
        yield address


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> dict[str, dict[object, Record]]:
    """Records of the local backend, by how far responses are decoded."""
    return {
        predictions: records_by_request(
            evaluate_sweep(
                sweep("scan", models=[NAME], predictions=predictions, **FIELDS),
                tmp_path_factory.mktemp("here") / "r",
            )
        )
        for predictions in ("verdict", "full")
    }


def entry(url: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "openai", "model": NAME, "base_url": url, "tokenizer": NAME, **fields}


@pytest.mark.parametrize("logprobs", ["auto", "prompt_logprobs", "none"])
def test_verdicts_are_those_of_the_local_backend(url, here, logprobs, tmp_path) -> None:
    served = entry(url, logprobs=logprobs, context_length=1024)
    results = evaluate_sweep(sweep("scan", models=[served], **FIELDS), tmp_path / "r")
    source = {"auto": "echo"}.get(logprobs, logprobs)
    assert {info.provenance["prompt_logprobs"] for info in results.infos} == {source}
    there = records_by_request(results)
    assert there.keys() == here["verdict"].keys()
    assert len(there) == 32
    for at, ours in here["verdict"].items():
        theirs = there[at]
        assert theirs.scores["raw"] == ours.scores["raw"]
        assert theirs.divergence == ours.divergence
        assert theirs.prompt_tokens == ours.prompt_tokens
        if source != "none":
            assert theirs.gold_tokens == ours.gold_tokens
            assert theirs.gold_logprob == pytest.approx(ours.gold_logprob, abs=2e-3)
    assert {record.scores["raw"] for record in there.values()} == {True, False}


def test_responses_are_those_of_the_local_backend(url, here, tmp_path) -> None:
    chosen = sweep("scan", models=[entry(url)], predictions="full", **FIELDS)
    there = records_by_request(evaluate_sweep(chosen, tmp_path / "r"))
    for at, ours in here["full"].items():
        theirs = there[at]
        assert (theirs.prediction, theirs.scores) == (ours.prediction, ours.scores)
        assert theirs.usage.prompt_tokens == ours.prompt_tokens


def test_a_chat_gives_the_scores_of_the_local_backend(url, here, tmp_path) -> None:
    (newline,) = AutoTokenizer.from_pretrained(FOLDER).encode("\n", add_special_tokens=False)
    body = {"stop_token_ids": [newline]}
    # The context leaves no room for the bound that follows from the longest target.
    chat = entry(url, api="chat", max_completion_tokens=200, extra_body=body)
    chosen = sweep("scan", models=[chat], predictions="full", **FIELDS)
    there = records_by_request(evaluate_sweep(chosen, tmp_path / "r"))
    for at, ours in here["full"].items():
        theirs = there[at]
        assert theirs.chat.text.strip() == ours.prediction.strip()
        assert theirs.scores == ours.scores
        assert theirs.usage.prompt_tokens == ours.prompt_tokens


def test_the_order_of_requests_changes_nothing_here(url) -> None:
    for _ in range(3):
        spec = OpenAISpec.model_validate(entry(url, logprobs="prompt_logprobs"))
        assert load_model(spec, identify(spec)).info.prompt_logprobs == "prompt_logprobs"
