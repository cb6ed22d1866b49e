"""Servers that score texts, in the shapes of real ones, and with their faults."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from serving import Body, Connection, ModelAnswers

Row = tuple[str, float, str, float]
"""A token and its log-probability, the most likely token and its log-probability."""
_TOKEN = re.compile(r"\s*[^\s:]+|\s*:|\s")
SGLANG_INFO = {
    "model_path": "/models/m",
    "tokenizer_path": "/models/m",
    "is_generation": True,
    "preferred_sampling_params": None,
    "weight_version": "default",
}
"""Body of SGLang's `/get_model_info`."""


class MadeUpScores:
    """A completions server whose log-probabilities are a function of the text alone.

    Args:
        shape: Writes the log-probabilities of a text into a choice.
        fault: Changes rows, by the number of scored texts before and whether this one was scored
            before.
        decoded: Response to a prompt that is not scored.
    """

    def __init__(
        self,
        shape: Callable[[Body, str, list[Row]], Body],
        fault: Callable[[list[Row], int, bool], list[Row]] = lambda rows, *_: rows,
        decoded: str = " x\n",
    ) -> None:
        self.shape = shape
        self.fault = fault
        self.decoded = decoded
        self.scored: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, connection: Connection, body: Body) -> None:
        if not ("echo" in body or "prompt_logprobs" in body):
            connection.send_text(self.decoded)
            return
        text = body["prompt"]
        with self._lock:
            rows = self.fault(rows_of(text), len(self.scored), text in self.scored)
            self.scored.append(text)
        choice = {"index": 0, "text": " x", "finish_reason": "length", "logprobs": None}
        usage = {"prompt_tokens": len(rows), "completion_tokens": 1}
        connection.send_json({"choices": [self.shape(choice, text, rows)], "usage": usage})


def rows_of(text: str) -> list[Row]:
    """Made-up scores of the tokens of a text; of about a third, the token is the most likely."""
    tokens = _TOKEN.findall(text)
    rows = []
    for token, before in zip(tokens, accumulate(tokens), strict=True):
        number = zlib.crc32(before.encode()) / 2**32
        logprob = -0.5 - 3 * number
        best = (token, logprob) if number < 0.3 else (" other", logprob + 0.4)
        rows.append((token, logprob, *best))
    return rows


def echoed(choice: Body, text: str, rows: list[Row]) -> Body:
    """OpenAI's shape, and that of vLLM's `echo`."""
    new = (" x", -0.1, " x", -0.1)
    first, *others = rows
    found = {
        "tokens": [row[0] for row in (first, *others, new)],
        "token_logprobs": [None, *(row[1] for row in (*others, new))],
        "top_logprobs": [None, *({row[0]: row[1], row[2]: row[3]} for row in (*others, new))],
    }
    return choice | {"text": text + " x", "logprobs": found}


def with_prompt_logprobs(choice: Body, text: str, rows: list[Row]) -> Body:
    """vLLM's `prompt_logprobs`."""
    del text
    entries = [
        {
            str(n): {"logprob": logprob, "rank": 1, "decoded_token": token}
            for n, (token, logprob) in enumerate(dict([row[:2], row[2:]]).items())
        }
        for row in rows[1:]
    ]
    return choice | {"prompt_logprobs": [None, *entries]}


def new_token_alone(choice: Body, text: str, rows: list[Row]) -> Body:
    """llama.cpp: the generated token alone, and no echo, whatever was asked for."""
    del text, rows
    new = {"id": 532, "token": " x", "bytes": [32, 120], "logprob": -1.6}
    return choice | {"logprobs": {"content": [new | {"top_logprobs": [new]}]}}


def echo_with_new_token_alone(choice: Body, text: str, rows: list[Row]) -> Body:
    """An echo whose lists hold the generated token alone."""
    del rows
    found = {"tokens": [" x"], "token_logprobs": [-0.1], "top_logprobs": [{" x": -0.1}]}
    return choice | {"text": text + " x", "logprobs": found}


def nothing(choice: Body, text: str, rows: list[Row]) -> Body:
    """`transformers serve` and others: no log-probabilities at all."""
    del text, rows
    return choice


def nulls(choice: Body, text: str, rows: list[Row]) -> Body:
    """An echo whose log-probabilities are null."""
    found = echoed(choice, text, rows)
    n = len(found["logprobs"]["tokens"])
    found["logprobs"] |= {"token_logprobs": [None] * n, "top_logprobs": [None] * n}
    return found


def zeros(choice: Body, text: str, rows: list[Row]) -> Body:
    """An echo whose log-probabilities of the prompt are zeros (early Basaran)."""
    return echoed(choice, text, [(token, 0.0, token, 0.0) for token, *_ in rows])


def too_short(choice: Body, text: str, rows: list[Row]) -> Body:
    """An echo whose lists lack the last tokens of the prompt."""
    return echoed(choice, text, rows[:-5])


class SGLang(ModelAnswers):
    """SGLang with a model of `transformers`: completions, and `/generate` with its prefix cache.

    Args:
        folder: The model's folder.
        texts: True if rows of log-probabilities hold texts; False as where SGLang has no tokenizer.
    """

    info = SGLANG_INFO

    def __init__(self, folder: Path, *, texts: bool = True) -> None:
        super().__init__(folder, "echo")
        self.texts = texts
        self.n_rows: list[int] = []
        """Number of tokens whose log-probabilities were wanted, by request."""

    def __call__(self, connection: Connection, body: Body) -> None:
        if connection.path == "/generate":
            with self._lock, torch.inference_mode():
                connection.send_json(self._generated(body))
        else:
            super().__call__(connection, body)

    def _generated(self, body: Body) -> Body:
        ids = self.tokenizer.encode(body["text"], add_special_tokens=False)
        most = body["sampling_params"]["max_new_tokens"]
        assert body["sampling_params"]["temperature"] == 0
        new, reason = self._decode(ids, most, [])
        eos = {"type": "stop", "matched": self.tokenizer.eos_token_id}
        info: dict[str, Any] = {
            "id": "26223ea355df4c0ab45e5af04505ed67",
            "finish_reason": eos if reason == "stop" else {"type": "length", "length": most},
            "prompt_tokens": len(ids),
            "completion_tokens": most,
            "cached_tokens": 0,
            "e2e_latency": 0.01,
        }
        if body.get("return_logprob"):
            start = body["logprob_start_len"]
            self.n_rows.append(len(ids) - start)
            shown = self.texts and body["return_text_in_logprobs"]
            rows = [
                [[value, token, self._text([token]) if shown else None] for token, value, _ in row]
                for row in self._rows(ids)[start:]
            ]
            first = [None, ids[start], self._text([ids[start]]) if shown else None]
            info["input_token_logprobs"] = [first, *(row[0] for row in rows)]
            info["input_top_logprobs"] = [None, *([row[-1]] for row in rows)]
        return {"text": self._text(new), "output_ids": new, "meta_info": info}
