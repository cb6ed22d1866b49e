"""A web server on the loopback interface, and small benchmarks in every form."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


@dataclass
class Web:
    """What the server has, how it behaves, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """After how many bytes the next answers are cut, one by one."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and `Range` of each request."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each request, under names in lower case."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Where a path leads to."""
    endless: bool = False
    """Send zeros for as long as somebody reads them, and no length."""


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append((self.path, asked))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            if self.path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[self.path])
                self.end_headers()
                return
            if state.endless:
                self.send_response(200)
                self.end_headers()
                with contextlib.suppress(ConnectionError):
                    while True:
                        self.wfile.write(bytes(2**16))
                return
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if asked and state.ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
                if start >= len(content):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            body = content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a client may hang up
                self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, and no data folder."""
    monkeypatch.setenv("ICL_GAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ICL_GAP_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def plain() -> dict[str, Any]:
    """The content of a card for a benchmark of plain pairs in the folder `greetings`."""
    return {
        "name": "greetings",
        "title": "Greetings",
        "licence": "CC0",
        "citation": "none",
        "language": "tokens",
        "template": {"instruction": "Greet.", "source_label": "In:", "target_label": "Out:"},
        "loader": "tsv",
        "sources": [{"kind": "local", "folder": "greetings"}],
        "default_split": "plain",
        "splits": {
            "plain": {"train": 3, "test": 1, "files": {"train": "train.tsv", "test": "test.tsv"}}
        },
    }


@pytest.fixture
def greetings(tmp_path: Path) -> Path:
    """A data folder with a benchmark of plain pairs, one of them packed."""
    folder = tmp_path / "data" / "greetings"
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text("say hi\tHI\nsay  hi twice\tHI HI\n\nsay hi\tHI\n")
    (folder / "test.tsv.gz").write_bytes(gzip.compress(b"say hi thrice\tHI HI HI\n"))
    return folder.parent


QUESTIONS = (
    ("Did M0 's star edit M1", "?x0 ns:film.actor.film M0 .\n?x0 ns:film.editor.film M1"),
    ("Was M1 , M2 's wife", "M1 ns:people.spouse_s/ns:people.spouse M2 .\nFILTER ( M1 != M2 )"),
    ('Who was a "female" actor', "?x0 a ns:film.actor .\n?x0 ns:people.gender ns:m.02zsn"),
    ("Was M0 M1", "M0 ns:a.b M1 .\nM0 ns:a.b M1"),
)


@pytest.fixture
def small_cfq(tmp_path: Path) -> Path:
    """A data folder with four made-up rows in the form of the official archive."""
    folder = tmp_path / "official" / "cfq"
    (folder / "splits").mkdir(parents=True)
    rows = [
        {
            "complexityMeasures": {"parseTreeLeafCount": 7},
            "questionPatternModEntities": question,
            "note": 'a \\"questionPatternModEntities\\": \\"no\\" inside',
            "sparqlPatternModEntities": f"SELECT count(*) WHERE {{\n{conjuncts}\n}}",
        }
        for question, conjuncts in QUESTIONS
    ]
    (folder / "dataset.json").write_text(json.dumps(rows, indent=1))
    split = {"trainIdxs": [3, 0], "devIdxs": [1], "testIdxs": [2]}
    for name in ("mcd1", "mcd2"):
        (folder / "splits" / f"{name}.json").write_text(json.dumps(split))
    return folder.parent
