"""Chat responses in the page: both scores, the whole response, the messages that were sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report.test_browser import COLOURS, contrast
from serving import Body, Connection, chat_only, query_of, serving
from toys import sweep

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import Results

Say = Callable[[Connection, str], None]
SYSTEM = "R\u00e9pondez \u00abbien\u00bb \U0001f600\x7f."


def chatted(card: str, folder: Path, say: Say, change: dict[str, Any], **fields: Any) -> Results:
    """The results of a server that responds to the target of each query by a function."""

    def respond(connection: Connection, body: Body) -> None:
        lines = query_of(body).splitlines()
        if lines[-1] == "A:":
            say(connection, lines[-2].removeprefix("Q: ").upper())
        else:
            connection.send_message("OK")

    with serving(chat_only(respond)) as server:
        model = {"kind": "openai", "model": "m", "base_url": server.url, "thinking_tokens": 0}
        spec = sweep(card, models=[{**model, **fields}], shots=[2], seeds=[0], **change)
        return evaluate_sweep(spec, folder)


def right(connection: Connection, target: str) -> None:
    connection.send_message(f"<think>Is it {target}?</think>Not {target}9 but\n{target}")


@pytest.mark.parametrize("form", ["turns", "text"])
@pytest.mark.parametrize("system", [None, "", SYSTEM])
def test_the_messages_shown_are_those_that_were_hashed(
    opened, toy_card, tmp_path, form, system
) -> None:
    more = {} if system is None else {"system": system}
    page = opened(chatted(toy_card, tmp_path / "r", right, {}, exemplars=form, **more))
    page.open()
    page.until("return document.querySelectorAll('#request [data-hash=same]').length === 2")
    roles = page.texts("#request [data-condition=id] .role")
    opening = [] if system == "" else ["system"]
    assert roles == [*opening, *(["user", "assistant"] * 2 if form == "turns" else []), "user"]
    assert page.faults() == []


@pytest.mark.parametrize("control", ["shuffled_targets", "targets_only"])
@pytest.mark.parametrize("form", ["turns", "text"])
def test_the_messages_of_controls_are_those_that_were_hashed(
    opened, toy_card, tmp_path, form, control
) -> None:
    change = {"control": control}
    page = opened(chatted(toy_card, tmp_path / "r", right, change, exemplars=form))
    page.open()
    page.until("return document.querySelectorAll('#request [data-hash=same]').length === 2")


def test_both_scores_stand_side_by_side_and_the_answer_is_marked(
    opened, toy_card, tmp_path
) -> None:
    page = opened(chatted(toy_card, tmp_path / "r", right, {}, answer="last_line"))
    page.open()
    gold = page.texts("#request .body > div > div .text")[1]
    facts = "".join(page.texts("#request [data-condition=id] .facts div"))
    assert "Raw / canonical / execution, extracted answerright / right / right" in facts
    assert "Raw / canonical / execution, whole responsewrong / wrong / wrong" in facts
    assert page.texts("#request [data-condition=id] mark.answer") == [gold]
    whole = page.texts("#request [data-condition=id] .whole > .text")
    assert whole == [f"Not {gold}9 but\n{gold}"]
    marked = page.run(
        "const mark = document.querySelector('#request mark.answer');"
        "return mark.previousSibling.textContent.length"
    )
    assert marked == len(f"Not {gold}9 but\n")  # the whole word, not the start of another
    shown = "return document.querySelector('#request .reasoning .text').checkVisibility()"
    assert not page.run(shown)
    page.run(
        "document.querySelectorAll('#request .whole, #request .reasoning')"
        ".forEach((fold) => { fold.open = true; })"
    )
    assert page.run(shown)
    assert page.texts("#request [data-condition=id] .reasoning .text") == [f"Is it {gold}?"]
    first = page.texts("#scores-table tbody tr")[0]
    assert first.split() == ["toy/plain", "m", "ID", "1.000", "0.000", "0.000", "not", "defined"]
    assert page.texts("#unanswered-table") == []


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"content": "<think>hm", "finish_reason": "length"}, "while the model was still thinking"),
        ({"content": "<think>hm</think>"}, "finds no answer"),
    ],
)
def test_a_response_without_an_answer_is_shown_whole(
    opened, toy_card, tmp_path, message, said
) -> None:
    def say(connection: Connection, _: str) -> None:
        connection.send_message(**message)

    page = opened(chatted(toy_card, tmp_path / "r", say, {}))
    page.open()
    side = page.texts("#request [data-condition=ood]")[0]
    assert said in side
    assert "empty but for reasoning" in side
    assert page.run("return document.querySelector('#request .whole').open")
    counts = page.texts("#unanswered-table tbody tr:first-child td")
    assert counts[:4] == ["toy/plain", "m", "ID", "8"]
    assert sorted(counts[4:7]) == ["0", "0", "8"]


def test_text_of_a_server_is_text(opened, toy_card, tmp_path) -> None:
    def say(connection: Connection, _: str) -> None:
        hostile = "<img src=x onerror=alert(1)> (a+)+$ \u202e"
        connection.send_message(f"{hostile}\n{hostile}", reasoning_content=hostile)

    page = opened(chatted(toy_card, tmp_path / "r", say, {}))
    page.open()
    assert page.run("return document.querySelectorAll('#request img').length") == 0
    assert page.texts("#request [data-condition=id] mark.answer") == [
        "<img src=x onerror=alert(1)> (a+)+$ \\u202e"
    ]
    assert page.faults() == []


def test_tokens_flips_and_dollars_stand_in_the_page(opened, toy_card, tmp_path) -> None:
    dice = random.Random(0)  # noqa: S311 (answers are no secret)

    def say(connection: Connection, target: str) -> None:
        details = {"completion_tokens_details": {"reasoning_tokens": 2}}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, **details}
        connection.send_message(dice.choice([target, "no"]), usage=usage)

    price = {"prompt": 1, "completion": 1}
    page = opened(chatted(toy_card, tmp_path / "r", say, {"repeats": 2}, price=price))
    text = "".join(page.texts("main .aside"))
    assert "repeats: m, 16 requests asked 2 times" in text
    assert "Tokens of m: 112 read, 48 written, 32 of these for thinking, $0.0003 in all" in text
    page.open()
    facts = "".join(page.texts("#request [data-condition=id] .facts div"))
    assert "7 read, 3 written, 2 of these for thinking" in facts


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chat_can_be_read_on_a_telephone_in_light_and_dark(
    opened, toy_card, tmp_path, scheme
) -> None:
    page = opened(chatted(toy_card, tmp_path / "r", right, {}, answer="last_line"))
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open()
        page.run(
            "document.querySelectorAll('#request details').forEach((fold) => { fold.open = true; })"
        )
        page.settle()
        assert page.run("return document.documentElement.scrollWidth") <= 400
        assert page.run("return document.getElementById('request').scrollWidth") <= 400
        pairs = page.run(COLOURS)
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert any("mark" in pair[2] and "answer" in pair[2] for pair in pairs)
    assert [pair for pair in pairs if contrast(*pair[:2]) < 4.5] == []
