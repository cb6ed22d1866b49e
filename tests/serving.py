"""Servers of completions on loopback: one that fails in every way, and one that runs a model."""

from __future__ import annotations

import contextlib
import json
import random
import select
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

Body = dict[str, Any]

# Every client reads all certificates, which takes longer than its requests. No server here has one.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)


class Connection(BaseHTTPRequestHandler):
    """One connection, to which the server's function responds."""

    protocol_version = "HTTP/1.1"
    server: Server
    body: Body
    """Body of the last request."""

    def do_POST(self) -> None:
        body = self.body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.counted(body, dict(self.headers)):
            self.server.answer(self, body)

    def do_GET(self) -> None:
        """Describe the model as SGLang does, where the server's function has an `info`."""
        info = getattr(self.server.answer, "info", None)
        if info is not None and self.path == "/get_model_info":
            self.send_json(info)
        else:
            self.send_json({"detail": "Not Found"}, 404)

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, content: bytes, length: int | None = None, **headers: str) -> None:
        """Send a response, and close the connection if it is shorter than announced."""
        self.send_response(status)
        self.send_header("content-length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = length is not None or self.close_connection

    def send_text(self, text: str, *, finish_reason: str = "stop", **more: Any) -> None:
        choice = {"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": None}
        new = min(3, _bound(self.body))
        usage = {"prompt_tokens": 7, "completion_tokens": new, "total_tokens": 7 + new}
        self.send_json({"object": "text_completion", "choices": [choice], "usage": usage} | more)

    def send_message(
        self, content: str | None, *, finish_reason: str = "stop", **more: Any
    ) -> None:
        """Send a chat response; `more` goes into its message, apart from `usage` and `model`."""
        new = 3 if finish_reason == "stop" else _bound(self.body)
        usage: Body | None = {"prompt_tokens": 7, "completion_tokens": new}
        usage = more.pop("usage", usage)
        top = {"model": more.pop("model")} if "model" in more else {}
        message = {"role": "assistant", "content": content, **more}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        self.send_json({"object": "chat.completion", "choices": [choice], "usage": usage, **top})

    def send_json(self, value: object, status: int = 200, **headers: str) -> None:
        content = json.dumps(value).encode()
        self.send(status, content, content_type="application/json", **headers)

    def dawdle(self, seconds: float) -> None:
        """Wait, unless the client hangs up."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            readable, _, _ = select.select([self.connection], [], [], 0.01)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                break


Answer = Callable[[Connection, Body], None]


def _bound(body: Body) -> int:
    """The most new tokens that a request asks for."""
    return body.get("max_tokens") or body["max_completion_tokens"]


def chat_only(answer: Answer) -> Answer:
    """A server that has no completions, and says where its chat is."""

    def respond(connection: Connection, body: Body) -> None:
        if connection.path.endswith("/chat/completions"):
            answer(connection, body)
        else:
            message = "This is a chat model. Did you mean to use v1/chat/completions?"
            connection.send_json({"error": {"message": message}}, 404)

    return respond


def query_of(body: Body) -> str:
    """The last message of a chat."""
    return body["messages"][-1]["content"]


def text_of(body: Body) -> str:
    """The messages of a chat as the text prompt that they were cut from."""
    first, *others = body["messages"]
    joined = f"{first['content']}\n\n" if first["role"] == "system" else first["content"]
    for each in others:
        joined += f" {each['content']}\n\n" if each["role"] == "assistant" else each["content"]
    return joined


class Server(ThreadingHTTPServer):
    """A server that responds by a function, and counts requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.answer = answer
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.now = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @contextlib.contextmanager
    def counted(self, body: Body, headers: dict[str, str]) -> Iterator[None]:
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.now += 1
            self.most_at_once = max(self.most_at_once, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1

    def handle_error(self, *_: object) -> None:
        """Ignore clients that hang up."""


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """Run a server that responds by a function, until the end of the block."""
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Faults:
    """Responds to a prompt with its `text`, after a seeded mix of faults.

    A fault depends on the prompt's text, the number of attempts, and the seed.
    """

    text: Callable[[str], str]
    share: float = 0.5
    seed: int = 0
    slow: float = 5.0
    done: Counter[str] = field(default_factory=Counter)
    """Number of responses of each sort."""
    attempts: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    """Number of right responses to each prompt."""

    def __call__(self, connection: Connection, body: Body) -> None:
        chat = "messages" in body
        prompt = query_of(body) if chat else body["prompt"]
        self.attempts[prompt] += 1
        dice = random.Random(f"{self.seed} {prompt} {self.attempts[prompt]}")  # noqa: S311 (faults are no secret)
        name = dice.choice(list(_FAULTS)) if dice.random() < self.share else "right"
        self.done[name] += 1
        if name == "right":
            self.right[prompt] += 1
            (connection.send_message if chat else connection.send_text)(self.text(prompt))
        elif name == "slow":
            connection.dawdle(self.slow)
            connection.close_connection = True
        else:
            _FAULTS[name](connection)


def _half(connection: Connection) -> None:
    connection.send(200, b'{"choices": [{"text": " A', length=200)


@cache
def bomb(most_bytes: int) -> bytes:
    """Return a gzipped body of a response that is longer than some bytes once decompressed."""
    choice = {"text": " A", "finish_reason": "stop"}
    gzip, blank = zlib.compressobj(1, wbits=31), b" " * 2**20
    parts = [gzip.compress(blank) for _ in range(most_bytes // len(blank) + 1)]
    end = gzip.compress(json.dumps({"choices": [choice]}).encode())
    return b"".join((*parts, end, gzip.flush()))


def _bomb(connection: Connection) -> None:
    connection.send(200, bomb(64 * 2**20), content_encoding="gzip")


def _nothing(connection: Connection) -> None:
    connection.close_connection = True


_FAULTS: dict[str, Callable[[Connection], None]] = {
    "429": lambda c: c.send_json({"error": {"message": "too many"}}, 429),
    "429 with a wait": lambda c: c.send_json({"error": "too many"}, 429, retry_after="0"),
    "500": lambda c: c.send(500, b"oops"),
    "503": lambda c: c.send_json({"detail": "loading"}, 503),
    "half a body": _half,
    "html": lambda c: c.send(200, b"<html><body>Bad gateway</body></html>"),
    "no json": lambda c: c.send(200, b'{"choices": [{"text": '),
    "empty": lambda c: c.send(200, b""),
    "null": lambda c: c.send_json(None),
    "no choices": lambda c: c.send_json({"choices": []}),
    "no text": lambda c: c.send_json({"choices": [{"finish_reason": "stop"}]}),
    "null text": lambda c: c.send_json({"choices": [{"text": None, "finish_reason": "stop"}]}),
    "filtered": lambda c: c.send_json(
        {"choices": [{"text": "", "finish_reason": "content_filter"}]}
    ),
    "error with 200": lambda c: c.send_json({"error": {"message": "overloaded"}}),
    "redirect": lambda c: c.send(307, b"", location="https://example.invalid/v1/completions"),
    "error beside choices": lambda c: c.send_text(" A", error={"message": "overloaded"}),
    "another model": lambda c: c.send_text(" A", model="another"),
    "cut short": lambda c: c.send_text(" A", finish_reason="length"),
    "negative usage": lambda c: c.send_text(
        " A", usage={"prompt_tokens": -7, "completion_tokens": 3}
    ),
    "absurd usage": lambda c: c.send_text(
        " A", usage={"prompt_tokens": 7, "completion_tokens": 10**9}
    ),
    "bomb": _bomb,
    "echo of the key": lambda c: c.send_text(c.headers["authorization"]),
    "nothing": _nothing,
    "slow": _nothing,
}


class ModelAnswers:
    """Runs a model of `transformers`, with the log-probabilities of prompts.

    Args:
        folder: The model's folder.
        gives: Ways of giving log-probabilities: `echo`, `prompt_logprobs`, both or none.
    """

    def __init__(self, folder: Path, *gives: str) -> None:
        self.gives = gives
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._lock = threading.Lock()

    def __call__(self, connection: Connection, body: Body) -> None:
        unknown = {"prompt_logprobs", "echo"} - set(self.gives)
        if unknown & body.keys():
            connection.send_json({"error": {"message": "unknown field"}}, 400)
            return
        with self._lock, torch.inference_mode():
            connection.send_json(self._answer(body))

    def _answer(self, body: Body) -> Body:
        ids = self.tokenizer.encode(body["prompt"], add_special_tokens=False)
        new, reason = self._decode(ids, body["max_tokens"], body.get("stop", []))
        text = self._text(new)
        for stop in body.get("stop", []):
            text = text.partition(stop)[0]
        choice: Body = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
        if body.get("echo"):
            choice |= {"text": body["prompt"] + text, "logprobs": self._echoed([*ids, *new])}
        if "prompt_logprobs" in body:
            choice["prompt_logprobs"] = self._ranked(ids)
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(new)}
        return {"object": "text_completion", "choices": [choice], "usage": usage}

    def _decode(self, ids: list[int], most: int, stops: list[str]) -> tuple[list[int], str]:
        prompt = torch.tensor([ids])

        def ends(all_ids: torch.Tensor, _: object) -> torch.Tensor:
            text = self._text(all_ids[0, len(ids) :].tolist())
            return torch.tensor([any(stop in text for stop in stops)])

        out = self.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=most,
            pad_token_id=0,
            stopping_criteria=[ends],
        )
        new = out[0, len(ids) :].tolist()
        eos = self.model.generation_config.eos_token_id
        if new and new[-1] in (eos if isinstance(eos, list) else [eos]):
            return new[:-1], "stop"
        done = any(stop in self._text(new) for stop in stops)
        return new, "stop" if done else "length"

    def chat(self, connection: Connection, body: Body) -> None:
        """Respond to messages as to the text prompt that they were cut from."""
        asked = {"prompt": text_of(body), "max_tokens": 100, "stop": ["\n"]}
        with self._lock, torch.inference_mode():
            text = self._answer(asked)["choices"][0]["text"]
        connection.send_message(text)

    def chat_by_template(self, connection: Connection, body: Body) -> None:
        """Respond to messages as the chat template of the model's folder writes them."""
        found = self._chat(body)
        choice = found["choices"][0]
        connection.send_message(
            choice["text"], finish_reason=choice["finish_reason"], usage=found["usage"]
        )

    def chat_text(self, body: Body) -> str:
        """Return the text of that response."""
        text: str = self._chat(body)["choices"][0]["text"]
        return text

    def _chat(self, body: Body) -> Body:
        prompt = self.tokenizer.apply_chat_template(
            body["messages"], tokenize=False, add_generation_prompt=True
        )
        with self._lock, torch.inference_mode():
            return self._answer({"prompt": prompt, "max_tokens": _bound(body)})

    def _text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def _rows(self, ids: list[int]) -> list[list[tuple[int, float, int]]]:
        """Of each token but the first, itself and the best: id, log-probability, rank."""
        logprobs = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        rows = []
        for token, row in zip(ids[1:], logprobs, strict=False):
            best, rank = int(row.argmax()), int((row > row[token]).sum()) + 1
            pairs = [(token, float(row[token]), rank), (best, float(row[best]), 1)]
            rows.append(pairs[: 1 if rank == 1 else 2])
        return rows

    def _echoed(self, ids: list[int]) -> Body:
        texts = [self._text([token]) for token in ids]
        rows = self._rows(ids)
        return {
            "tokens": texts,
            "token_logprobs": [None, *(row[0][1] for row in rows)],
            "top_logprobs": [None, *({self._text([row[-1][0]]): row[-1][1]} for row in rows)],
            "text_offset": [len("".join(texts[:n])) for n in range(len(ids))],
        }

    def _ranked(self, ids: list[int]) -> list[Body | None]:
        return [
            None,
            *(
                {
                    str(token): {
                        "logprob": logprob,
                        "rank": rank,
                        "decoded_token": self._text([token]),
                    }
                    for token, logprob, rank in row
                }
                for row in self._rows(ids)
            ),
        ]
