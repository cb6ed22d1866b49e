"""The page in a browser: filters, sorting, an opened request, keys, links."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from serving import serving
from studies import right_or_wrong, save_card, save_study
from toys import sweep

from icl_gap.evaluation.runner import evaluate_sweep


@pytest.fixture
def page(opened, study) -> Any:
    return opened(study)


def test_nothing_is_loaded_and_nothing_goes_wrong(page) -> None:
    loaded = page.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert loaded == []
    assert page.faults() == []


def test_all_requests_are_listed(page) -> None:
    assert page.count == "48 requests"
    rows = page.texts("#rows .row")
    assert len(rows) > 10
    assert rows[0].startswith("✓ right small toy/plain test ID 2 0 \u2013")


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("model", "small", 24),
        ("queries", "train", 24),
        ("condition", "ood", 24),
        ("shots", "2", 48),
        ("outcome", "0", 12),
        ("outcome", "1", 36),
        ("outcome", "id-only", 24),
        ("outcome", "ood-only", 0),
        ("from", "2", 12),
        ("from", "3", 0),
        ("to", "1", 0),
    ],
)
def test_filters(page, name, value, n) -> None:
    page.choose(name, value)
    assert page.count == ("48 requests" if n == 48 else f"{n} of 48 requests")
    assert bool(page.texts("#rows .row")) == (n > 0)


def test_filters_combine_and_clear(page) -> None:
    page.choose("model", "large")
    page.choose("condition", "ood")
    page.choose("outcome", "0")
    assert page.count == "6 of 48 requests"
    assert all(" large " in row and "✗ wrong" in row for row in page.texts("#rows .row"))
    page.run("document.querySelector('#filters [type=reset]').click()")
    page.settle()
    assert page.count == "48 requests"


def test_search_finds_words_of_the_query_and_of_its_answer(page) -> None:
    source = page.texts("#rows .row .query")[0]
    page.choose("text", source.upper())
    assert set(page.texts("#rows .row .query")) == {source}
    page.choose("text", "no such words")
    assert page.count == "0 of 48 requests"


def test_tables_sort_by_their_headings(page) -> None:
    def column(n: int) -> list[str]:
        return page.texts(f"#gap-table tbody td:nth-child({n})")

    page.run("document.querySelector('#gap-table th:nth-child(3) button').click()")
    assert column(3) == sorted(column(3), key=["1M", "10M"].index)
    page.run("document.querySelector('#gap-table th:nth-child(3) button').click()")
    assert column(3) == sorted(column(3), key=["10M", "1M"].index)
    heads = page.run("return [...document.querySelectorAll('#gap-table th')].map(e => e.ariaSort)")
    assert heads[2] == "descending"
    assert not any(heads[:2] + heads[3:])


def test_an_opened_request_stands_beside_its_twin(page) -> None:
    page.choose("outcome", "0")
    page.open()
    heads = page.texts("#request .side h3:first-child")
    assert [head.split(":")[0] for head in heads] == ["ID", "OOD"]
    assert "✓ right" in heads[0]
    assert "✗ wrong" in heads[1]
    assert page.texts("#request [data-condition=ood] ins") == [" X"]
    gold = page.texts("#request .body > div > div .text")
    assert page.texts("#request [data-condition=ood] del") == [f" {gold[1].split()[1]}"]
    assert "it was not decoded further" in page.texts("#request [data-condition=ood]")[0]
    expected = gold[1].split()[1]
    where = f"Wrong at token 2: expected {expected}, got X."
    assert page.texts("#request .where") == [where]


def test_the_prompt_shown_is_the_prompt_that_was_hashed(page, study) -> None:
    page.open()
    recorded = [cell.records[0].prompt_sha256 for cell in list(study)[:2]]
    shown = [
        "".join(page.texts(f"#request [data-condition={condition}] [data-piece]"))
        for condition in ("id", "ood")
    ]
    assert [hashlib.sha256(text.encode()).hexdigest() for text in shown] == recorded
    page.until("return document.querySelectorAll('#request [data-hash=same]').length === 2")


@pytest.mark.parametrize(
    "change",
    [
        {"control": "shuffled_targets"},
        {"control": "targets_only"},
        {"datasets": [{"exemplars_from": "scan"}]},
    ],
    ids=str,
)
def test_the_prompts_of_controls_are_shown_as_they_were(opened, toy_card, tmp_path, change) -> None:
    if "datasets" in change:
        change = {"datasets": [{"name": toy_card, **change["datasets"][0]}]}
    page = opened(evaluate_sweep(sweep(toy_card, shots=[2], **change), tmp_path / "results"))
    page.open()
    page.until("return document.querySelectorAll('#request [data-hash=same]').length === 2")


def test_exemplars_fold_one_by_one_and_all_at_once(page) -> None:
    page.open()
    side = "#request [data-condition=id]"
    folds = f"[...document.querySelectorAll('{side} .exemplar')].map(e => e.open)"
    assert page.run(f"return {folds}") == [False, False]
    sources = [text.splitlines()[0] for text in page.texts(f"{side} .exemplar [data-piece]")]
    heads = page.texts(f"{side} .exemplar summary")
    assert [f"Q: {head.partition('. ')[2]}" for head in heads] == sources
    page.run(f"document.querySelector('{side} .exemplar summary').click()")
    assert page.run(f"return {folds}") == [True, False]
    for both in (True, False):
        page.run(f"document.querySelector('{side} .prompt').previousSibling.lastChild.click()")
        assert page.run(f"return {folds}") == [both, both]


def test_words_that_exemplars_cover_are_marked(page) -> None:
    page.open()
    words = page.texts("#request .body > div > div .text")[0].split()
    marked = set(page.texts("#request [data-condition=id] [data-piece] mark.word"))
    missing = set(page.texts("#request [data-condition=id] .uncovered"))
    assert marked <= set(words)
    assert marked | {word for word in missing if word in words} == set(words)
    assert "Coverage1.000" in "".join(page.texts("#request [data-condition=id] .facts div"))


def test_keys_move_open_step_and_close(page) -> None:
    page.run("document.getElementById('list').focus()")
    page.press("j", "j", "ArrowDown", "k")
    assert page.run("return document.querySelector('[aria-selected=true]').id") == "row-2"
    focus = "return document.getElementById('list').getAttribute('aria-activedescendant')"
    assert page.run(focus) == "row-2"
    page.press("End")
    assert page.run(focus) == "row-47"
    page.press("Home", "Enter")
    page.until("return document.getElementById('request').open")
    first = page.texts("#request-title")
    page.press("j")
    page.until("return document.getElementById('request').open")
    assert page.texts("#request-title") != first
    page.press("Escape")
    assert not page.run("return document.getElementById('request').open")
    assert page.run("return document.activeElement.id") == "list"
    page.press("/")
    assert page.run("return document.activeElement.id") == "filter-text"


def test_a_link_keeps_filters_and_the_opened_request(page) -> None:
    page.choose("condition", "ood")
    page.choose("outcome", "0")
    page.open()
    title = page.texts("#request-title")
    fragment = page.run("return location.hash")
    page.visit(fragment)
    page.until("return document.getElementById('request').open")
    assert page.texts("#request-title") == title
    assert page.count == "12 of 48 requests"


def test_numbers_sort_by_their_size_and_what_is_unknown_comes_last(page) -> None:
    page.run(
        "const table = document.getElementById('gap-table');"
        "const cells = [...table.querySelectorAll('tbody td:nth-child(8)')];"
        "['-0.5 [-1, 0]', '12', '<.001', '1,200', '7', 'unresolved'].forEach("
        "(text, n) => { cells[n].textContent = text; });"
        "table.querySelector('th:nth-child(8) button').click();"
    )
    order = ["-0.5 [-1, 0]", "<.001", "7", "12", "1,200", "unresolved"]
    assert page.texts("#gap-table tbody td:nth-child(8)") == order


def test_paper_shows_words_figures_and_tables_alone(page) -> None:
    visible = "return document.querySelector(arguments[0]).checkVisibility()"
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for selector in (
            "#first .lead",
            "#first svg",
            "#figures svg",
            "#gap-table",
            "#provenance dl",
        ):
            assert page.run(visible, selector)
        for selector in ("#list", "#filters", "nav"):
            assert not page.run(visible, selector)
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_figures_are_dark_in_dark_mode_and_light_on_paper(page) -> None:
    colours = (
        "const under = document.querySelector('#first svg path[style*=ffffff]');"
        "return [getComputedStyle(under).fill, getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('#first svg text')).fill]"
    )
    white, dark = "rgb(255, 255, 255)", "rgb(21, 24, 28)"
    assert page.run(colours)[:2] == [white, white]
    with page.media(prefers_color_scheme="dark"):
        under, paper, text = page.run(colours)
    assert under == paper == dark
    assert all(int(part) > 200 for part in text.removeprefix("rgb(").rstrip(")").split(", "))
    with page.media("print", prefers_color_scheme="dark"):
        assert page.run(colours)[:2] == [white, white]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_in_light_and_dark(page, scheme) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        page.choose("outcome", "0")
        page.open()
        pairs = page.run(COLOURS)
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(pairs) > 50
    assert [pair for pair in pairs if contrast(*pair[:2]) < 4.5] == []


COLOURS = """
const found = [];
for (const one of document.querySelectorAll("body :not(svg, svg *, script, style, option)")) {
  const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !one.checkVisibility()) continue;
  let under = one;
  const back = (element) => getComputedStyle(element).backgroundColor;
  while (under.parentElement && /, 0\\)$/.test(back(under))) under = under.parentElement;
  const numbers = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number);
  found.push([numbers(getComputedStyle(one).color), numbers(back(under)), one.outerHTML]);
}
return found;
"""


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    low, high = sorted(_luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: list[float]) -> float:
    parts = (part / 255 for part in colour)
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_skipped_requests_and_unfinished_cells_are_told(opened, tmp_path) -> None:
    def answers(asked) -> dict[str, Any]:
        return {"status": "skipped"} if asked.n == 3 else right_or_wrong(asked)

    card = save_card(tmp_path / "data")
    page = opened(save_study(tmp_path / "s", card, answers, more=["later"]))
    missing = page.texts("#missing")[0]
    assert "4 cells of the sweep are not finished" in missing
    assert "toy-plain.later.test-id.2shots" in missing
    assert page.texts("#left-out-table tbody tr td:first-child") == ["skipped"] * 2
    page.choose("outcome", "3")
    assert page.count == "8 of 48 requests"
    page.open()
    assert "did not fit" in page.texts("#request .side")[0]


def test_failed_requests_are_told_with_their_reason(opened, tmp_path) -> None:
    def answers(asked) -> dict[str, Any]:
        fails = asked.n == 3 and asked.condition == "id"
        reason = "no <b>answer</b>"
        return {"status": "failed", "reason": reason} if fails else right_or_wrong(asked)

    page = opened(save_study(tmp_path / "s", save_card(tmp_path / "data"), answers))
    assert page.texts("#left-out-table tbody tr td:first-child") == ["failed"] * 2
    page.choose("outcome", "3")
    assert page.count == "4 of 48 requests"
    page.open()
    assert "no <b>answer</b>" in page.texts("#request .side")[0]


def test_without_the_benchmark_ids_stand_for_texts(opened, study, tmp_path) -> None:
    (tmp_path / "data" / "toy" / "test.tsv").unlink()
    page = opened(study)
    assert "ICL_GAP_DATA" in page.texts("#requests .warning")[0]
    page.choose("outcome", "0")
    page.open()
    assert "texts of toy/plain are not in this page" in page.texts("#request")[0]
    assert page.texts("#request pre.prompt")[0].startswith("1. ")
    assert page.faults() == []


def test_another_benchmark_of_that_name_is_not_taken_for_it(opened, study, tmp_path) -> None:
    with (tmp_path / "data" / "toy" / "test.tsv").open("a") as rows:
        rows.write("x y\tX Y\n")
    page = opened(study)
    assert "its fingerprint is another" in page.texts("#requests .warning")[0]


def test_a_whole_wrong_answer_is_compared_token_by_token(opened, tmp_path) -> None:
    def answers(asked) -> dict[str, Any]:
        first, rest = asked.gold.split()
        scores = {"raw": False, "canonical": False}
        return {"scores": scores, "prediction": f" {first} no {rest} more"}

    page = opened(save_study(tmp_path / "s", save_card(tmp_path / "data"), answers))
    page.open()
    gold = page.texts("#request .body > div > div .text")[1].split()
    where = f"Wrong at word 2: expected {gold[1]}, got no."
    assert page.texts("#request [data-condition=id] .where") == [where]
    assert page.texts("#request [data-condition=id] ins") == ["no", "more"]
    assert page.texts("#request [data-condition=id] del") == []


def test_a_study_of_a_server_shows_the_tokens_that_it_counted(opened, toy_card, tmp_path) -> None:
    with serving(lambda connection, _: connection.send_text(" A 1")) as server:
        model = {"kind": "openai", "model": "m", "base_url": server.url, "logprobs": "none"}
        spec = sweep(toy_card, models=[{**model, "context_length": 1000}], shots=[2], seeds=[0])
        results = evaluate_sweep(spec, tmp_path / "results")
    page = opened(results)
    page.open()
    for condition in ("id", "ood"):
        facts = page.texts(f"#request [data-condition={condition}] .facts div")
        assert "Tokens counted by the server7 read, 3 written" in facts
    page.run("document.querySelector('#request [data-condition=id] .record').open = true")
    page.settle()
    record = json.loads(page.texts("#request [data-condition=id] .record pre")[0])
    counts = {"prompt_tokens": 7, "completion_tokens": 3}
    assert record["usage"] == {**counts, "reasoning_tokens": None, "cached_tokens": None}
    assert page.faults() == []
