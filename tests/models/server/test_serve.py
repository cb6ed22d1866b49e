"""`transformers serve` on loopback, against the local backend on the same weights."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from toys import sweep
from transformers import AutoTokenizer, GenerationConfig

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.shipped import shipped_folder
from icl_gap.results import Results
from icl_gap.schema import Record

NAME = "nano-codegen-s"
FOLDER = shipped_folder(NAME)


TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'assistant' %} {{ m.content }}\n\n"
    "{% elif m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}"
)
"""A chat template that joins messages to the text prompt that they were cut from."""


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
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    (newline,) = tokenizer.encode("\n", add_special_tokens=False)
    GenerationConfig(eos_token_id=newline, pad_token_id=newline).save_pretrained(folder)
    return folder


@contextmanager
def served(folder: Path, log: Path) -> Iterator[str]:
    """Run `transformers serve` on a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("transformers")),
        *("serve", "--host", "127.0.0.1", "--port", str(port)),
        *("--device", "cpu", "--dtype", "float32", str(folder)),
    ]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with log.open("w") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            httpx2.get(url, timeout=5).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def requests(results: Results) -> dict[object, Record]:
    return {
        (cell.info.condition, cell.info.shots, record.query_id): record
        for cell in results
        for record in cell.records
    }


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
    here, there = requests(local), requests(served)
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
    local = requests(evaluate_sweep(sweep("scan", models=[here], **fields, **more), tmp_path / "l"))
    with served(chat_folder, tmp_path / "log") as address:
        entry = {**remote, "api": "chat", "thinking_tokens": 0, "base_url": address}
        chosen = sweep("scan", models=[entry], **fields, **more)
        there = requests(evaluate_sweep(chosen, tmp_path / "served"))
    assert local.keys() == there.keys()
    for at, ours in local.items():
        theirs = there[at]
        assert theirs.usage.prompt_tokens == ours.prompt_tokens
        for name in ("exemplar_ids", "prompt_sha256", "prediction", "scores", "reason"):
            assert getattr(theirs, name) == getattr(ours, name)
        # The server leaves out special tokens alone, and the newline that is EOS here is none.
        assert replace(theirs.chat, text=theirs.chat.text.removesuffix("\n")) == ours.chat
    assert {record.scores["raw"] for record in local.values()} == {True, False}
