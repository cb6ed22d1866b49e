"""The page that compares two results, in a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from analysis.synthetic import analyze
from report.pages import Page
from studies import Asked, right_or_wrong, save_card, save_study

from icl_gap.errors import InputError
from icl_gap.report import write_comparison


def turned(asked: Asked) -> dict[str, Any]:
    """Under OOD, those right that `right_or_wrong` has wrong; query 0 wrong under both."""
    if asked.n == 0:
        return {"scores": {"raw": False, "canonical": False}, "prediction": " NO"}
    scores = {"raw": True, "canonical": True}
    return {"scores": scores, "prediction": f" {asked.gold}"}


@pytest.fixture
def written(tmp_path) -> Any:
    card = save_card(tmp_path / "data")
    answers = {"before": right_or_wrong, "after": turned}
    both = [save_study(tmp_path / name, card, each) for name, each in answers.items()]
    first, second = [(each, analyze(each, resamples=200)) for each in both]
    write_comparison(first, second, tmp_path / "c.html")
    return tmp_path / "c.html"


@pytest.fixture
def page(browser, written) -> Any:
    browser.get_log("browser")
    return Page(browser, written)


def test_the_changed_requests_are_listed_once_each(page) -> None:
    # Of each of the four cells of OOD, three of six became right and one wrong; of ID, one wrong.
    assert page.count == "20 requests"
    assert page.texts(".lead") == [
        "Of 48 requests in both, 20 have another outcome: 12 became right, 8 became wrong."
    ]
    assert page.texts(".numbers strong") == ["12", "8", "48"]
    rows = page.texts("#rows .row")
    assert len(rows) == 20
    assert sum("✗ wrong → ✓ right" in row for row in rows) == 12
    assert page.faults() == []


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("outcome", "better", 12),
        ("outcome", "worse", 8),
        ("condition", "id", 4),
        ("model", "small", 10),
    ],
)
def test_changes_can_be_filtered(page, name, value, n) -> None:
    page.choose(name, value)
    assert page.count == f"{n} of 20 requests"
    assert len(page.texts("#rows .row")) == n


def test_both_responses_stand_beside_each_other(page) -> None:
    page.choose("outcome", "better")
    page.open()
    heads = page.texts("#request .side h3:first-child")
    assert [head[:1] for head in heads] == ["A", "B"]
    assert "A (before), OOD: exemplars from" in heads[0]
    assert "✗ wrong" in heads[0]
    assert "✓ right" in heads[1]
    assert len(page.texts("#request .where")) == 1
    page.until("return document.querySelectorAll('#request [data-hash=same]').length === 2")


def test_gaps_of_both_and_settings_are_shown(page) -> None:
    row = page.texts("#gap-table tbody tr:first-child td")
    assert row[:4] == ["toy/plain", "small", "2", "test"]
    assert row[4].startswith("0.50 [")
    assert row[-4:] == ["0", "1", "3", "1"]
    assert page.texts("#setting-table tbody td")[:3] == ["sweep: name", "before", "after"]


def test_it_is_one_file_that_names_nothing_outside_itself(written) -> None:
    made = written.read_text(encoding="utf-8")
    assert "default-src 'none'" in made
    assert re.findall(r"""(?:src|href|action|poster)\s*=\s*["']([^"'#][^"']*)""", made) == []


def test_results_without_a_common_cell_are_refused(tmp_path) -> None:
    card = save_card(tmp_path / "data")
    some = [save_study(tmp_path / name, card, seeds=(0, n)) for n, name in ((1, "a"), (2, "b"))]
    other = save_study(tmp_path / "c", card, models=("x", "y"))
    first, second, third = [(each, analyze(each, resamples=200)) for each in (*some, other)]
    write_comparison(first, second, tmp_path / "page.html")
    with pytest.raises(InputError, match="no cell in common"):
        write_comparison(first, third, tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()


def test_the_same_results_have_no_change(browser, tmp_path) -> None:
    both = save_study(tmp_path / "a", save_card(tmp_path / "data"))
    one = (both, analyze(both, resamples=200))
    write_comparison(one, one, tmp_path / "c.html")
    page = Page(browser, tmp_path / "c.html")
    assert page.texts(".lead") == ["All 48 requests in both have the same outcome."]
    assert page.count == "0 requests"
