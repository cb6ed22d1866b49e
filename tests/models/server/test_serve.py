"""`transformers serve` on loopback, against the local backend on the same weights."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from real_servers import CHAT_TEMPLATE, records_by_request, running
from toys import sweep
from transformers import AutoTokenizer, GenerationConfig

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.shipped import shipped_folder

NAME = "nano-codegen-m"
FOLDER = shipped_folder(NAME)


@pytest.fixture(scope="module")
def url(tmp_path_factory) -> Iterator[str]:
    with served(FOLDER, tmp_path_factory.mktemp("serve") / "log") as address:
        yield address


@pytest.fixture(scope="module")
def chat_folder(tmp_path_factory) -> Path:
    """The model with a chat template, whose responses end with their line."""
    folder = tmp_path_factory.mktemp("model") / NAME
    shutil.copytree(FOLDER, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    (newline,) = tokenizer.encode("\n", add_special_tokens=False)
    GenerationConfig(eos_token_id=newline, pad_token_id=newline).save_pretrained(folder)
    return folder


def served(folder: Path, log: Path) -> AbstractContextManager[str]:
    """Run `transformers serve` on a folder."""
    return running(
        lambda port: [
            str(Path(sys.executable).with_name("transformers")),
            *("serve", "--host", "127.0.0.1", "--port", str(port)),
            *("--device", "cpu", "--dtype", "float32", str(folder)),
        ],
        log,
    )


def test_the_predictions_are_those_of_the_local_backend(url, tmp_path) -> None:
    fields = {"shots": [8], "seeds": [0], "query_splits": ["test"], "limit": 6}
    more = {"predictions": "full", "selection": "oracle_coverage"}
    remote = {
        "kind": "openai",
        "model": str(FOLDER),
        "base_url": url,
        "tokenizer": NAME,
        "context_length": 1024,
        "concurrency": 3,
    }
    local = evaluate_sweep(sweep("scan", models=[NAME], **fields, **more), tmp_path / "local")
    served = evaluate_sweep(sweep("scan", models=[remote], **fields, **more), tmp_path / "served")
    here, there = records_by_request(local), records_by_request(served)
    assert here.keys() == there.keys()
    assert len(here) == 12
    for at, ours in here.items():
        theirs = there[at]
        assert theirs.prompt_sha256 == ours.prompt_sha256
        assert theirs.prompt_tokens == ours.prompt_tokens
        assert theirs.prediction == ours.prediction
        for metric in ("raw", "canonical"):
            assert theirs.scores.get(metric) == ours.scores.get(metric)
        assert theirs.divergence == ours.divergence
        assert theirs.usage is not None
        assert theirs.usage.prompt_tokens == ours.prompt_tokens
    assert {record.scores["raw"] for record in here.values()} == {True, False}


@pytest.mark.slow
def test_the_records_of_a_chat_are_those_of_the_local_backend(chat_folder, tmp_path) -> None:
    fields = {"shots": [5], "seeds": [0], "query_splits": ["test"], "limit": 6}
    more = {"selection": "oracle_coverage"}
    remote = {"kind": "openai", "model": str(chat_folder), "tokenizer": NAME, "concurrency": 2}
    here = {"model": str(chat_folder), "chat_template": "auto"}
    local = records_by_request(
        evaluate_sweep(sweep("scan", models=[here], **fields, **more), tmp_path / "l")
    )
    with served(chat_folder, tmp_path / "log") as address:
        entry = {**remote, "api": "chat", "thinking_tokens": 0, "base_url": address}
        chosen = sweep("scan", models=[entry], **fields, **more)
        there = records_by_request(evaluate_sweep(chosen, tmp_path / "served"))
    assert local.keys() == there.keys()
    for at, ours in local.items():
        theirs = there[at]
        assert theirs.usage.prompt_tokens == ours.prompt_tokens
        for name in ("exemplar_ids", "prompt_sha256", "prediction", "scores", "reason"):
            assert getattr(theirs, name) == getattr(ours, name)
        # The server leaves out special tokens alone, and the newline that is EOS here is none.
        assert replace(theirs.chat, text=theirs.chat.text.removesuffix("\n")) == ours.chat
    assert {record.scores["raw"] for record in local.values()} == {True, False}
