"""Nothing that data or models write is taken for more than text."""

from __future__ import annotations

from typing import Any

import pytest
from studies import save_card, save_study

EVIL = "<script>alert(1)</script>"
ANSWERS = [
    EVIL,
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "<img src=x onerror=alert(1)>",
    "\x1b[31mred\x1b[0m \x00 \x07",
    "\u202eback\u202c \u200b \ud800 \udfff",
    "]]> &lt; {{ 7 * 7 }} ${7*7} \\u003cscript\\u003e",
    "A " * 200_000 + "x" * 600_000,
]
ROWS = [f"<b>{n}</b> {EVIL} </title>\t<i>{n}</i> --> {{{{ 1 }}}}" for n in range(40)]


@pytest.fixture
def page(opened, tmp_path) -> Any:
    def answers(asked) -> dict[str, Any]:
        scores = {"raw": False, "canonical": False}
        if asked.n == len(ANSWERS):
            left = {"position": 0, "expected": EVIL, "actual": "</pre>" + EVIL, "text": EVIL}
            return {"scores": scores, "divergence": left, "reason": EVIL}
        return {"scores": scores, "prediction": ANSWERS[asked.n], "reason": EVIL}

    template = {"instruction": EVIL, "source_label": "<p>", "target_label": "</pre>"}
    card = save_card(tmp_path / "data", ROWS, template=template)
    models = [f"</table>{EVIL}&\"'", "plain"]
    limit = len(ANSWERS) + 1
    return opened(
        save_study(tmp_path / "s", card, answers, models=models, limit=limit, more=[EVIL])
    )


def test_no_text_becomes_an_element_or_runs(page) -> None:
    scripts = "return document.querySelectorAll('script:not([type])').length"
    elements = "return document.querySelectorAll('b, i, img, main script, h1 script').length"
    for n in range(len(ANSWERS) + 1):
        page.open_nth(n)
        assert page.run(scripts) == 1
        assert page.run(elements) == 0
    assert page.faults() == []  # an alert would have stopped all of this with an error


def test_text_is_shown_as_it_is(page) -> None:
    for n, answer in enumerate(ANSWERS[:4]):
        page.open_nth(n)
        assert answer in page.texts("#request [data-condition=id]")[0]
    model = page.texts("#gap-table td:nth-child(2)")[0]
    assert model == f"</table>{EVIL}&\"'"
    assert EVIL in page.texts("#rows .row .query")[0]


def test_what_cannot_be_seen_is_written_out(page) -> None:
    shown = ""
    for n in (4, 5):
        page.open_nth(n)
        shown += page.texts("#request [data-condition=id] .text")[1]
    for written in (r"\u001b[31mred", r"\u0000", r"\u202eback", r"\u200b", r"\ud800", r"\udfff"):
        assert written in shown


def test_a_megabyte_is_shown_in_part_until_asked_for(page) -> None:
    page.open_nth(7)
    assert len(page.texts("#request [data-condition=id]")[0]) < 60_000
    page.run("document.querySelector('#request [data-condition=id] button').click()")
    assert max(map(len, page.texts("#request [data-condition=id] .text"))) > 990_000
