"""Text that would take a terminal over: it survives the store, and is shown escaped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from fuzzing import command
from studies import save_card

from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.results import open_results

ODD = {
    "colour": "\x1b[31mred\x1b[0m",
    "clear": "\x1b[2J\x1b]0;title\x07",
    "bell": "\x07\x08\x7f\x9b",
    "right to left": "abc\u202edcb\u200f\u2066",
    "surrogate": "a\ud800b\udfff",
    "markup": "[bold]x[/bold] :smile: <script>alert(1)</script>",
    "not yet": "\ufeff\u2028\u2029\x85\x0b\x0c",
    "long": "x " * 500_000,
}
TOGETHER = " ".join(ODD[name] for name in ODD if name != "long")
"""All short ones in one text; each of them alone takes a second."""
NAME = "m\x1b[2J\u202e"


@pytest.fixture(
    params=[
        pytest.param(TOGETHER, id="together"),
        *(pytest.param(text, id=name, marks=pytest.mark.slow) for name, text in ODD.items()),
    ]
)
def text(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def path(tmp_path: Path, text: str) -> Path:
    """A sweep in which a source, its target, every answer and the model's name are odd."""
    plain = text.encode(errors="replace").decode()
    rows = [f"{verb} {n} {plain.strip()}\t{verb.upper()} {n}" for verb in "ab" for n in range(5)]
    card = save_card(tmp_path / "data", rows)
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"query_id": "none", "text": ""}))
    model = {"kind": "mock", "answers": str(answers), "default": "", "name": NAME}
    path = tmp_path / "sweep.yaml"
    fields = {"name": "s", "datasets": [card], "models": [model], "shots": [1], "seeds": [0]}
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


def answer_all(path: Path, text: str) -> None:
    """Let the model answer every query with the text, and fail on one for that reason."""
    plan = plan_sweep(read_sweep(path))
    asked = (request for cell in plan.cells for request in plan.requests(cell))
    first, *others = dict.fromkeys(request.prompt.query_id for request in asked)
    lines = [{"query_id": first, "error": text}, *({"query_id": q, "text": text} for q in others)]
    (path.parent / "answers.jsonl").write_text("\n".join(map(json.dumps, lines)))


def test_odd_text_survives_the_store_and_reaches_the_terminal_escaped(path, text, tmp_path) -> None:
    answer_all(path, text)
    out = tmp_path / "out"
    assert command("run", path, "--out", out) == 1  # one query fails
    for arguments in (
        ("prompts", path),
        ("plan", path),
        ("analyze", out),
        ("plot", out, "--out", tmp_path / "figures"),
        ("report", out, "-o", tmp_path / "report.html"),
        ("store", "verify", out),
    ):
        assert command(*arguments) == 0, arguments
    results = list(open_results(out))
    answered = text.partition("\n")[0]
    assert {r.prediction for cell in results for r in cell.records if r.status == "scored"} == {
        answered
    }
    assert any(text in str(r.reason) for cell in results for r in cell.records)
    assert {cell.info.model for cell in results} == {NAME}
