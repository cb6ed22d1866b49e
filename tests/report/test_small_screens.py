"""The page on a phone: nothing too wide, the gap first, no keys named."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def page(opened, study) -> Any:
    return opened(study)


def test_nothing_is_wider_than_a_phone(page) -> None:
    with page.phone():
        assert page.run("return document.documentElement.scrollWidth") <= 390
        page.open()
        assert page.run("return document.getElementById('request').scrollWidth") <= 390


def test_the_gap_stands_first_in_its_row(page) -> None:
    tops = (
        "return [...document.querySelector('#gap-table tbody tr').cells].map("
        "e => [e.dataset.label, e.getBoundingClientRect().top])"
    )
    assert len({top for _, top in page.run(tops)}) == 1
    with page.phone():
        placed = page.run(tops)
    assert min(placed, key=lambda cell: cell[1])[0] == "gap"
    assert sum(top == min(top for _, top in placed) for _, top in placed) == 1


def test_keys_are_named_where_there_are_keys(page) -> None:
    seen = (
        "return ['.keys', '.taps'].map(name => [...document.querySelectorAll(name)]"
        ".some(e => e.checkVisibility()))"
    )
    page.open()
    assert page.run(seen) == [True, False]
    with page.phone():
        assert page.run(seen) == [False, True]


def test_the_first_screen_holds_question_verdict_numbers_and_figure(page) -> None:
    for selector in ("h1", ".lead", ".numbers", "#first svg"):
        low = f"return document.querySelector('{selector}').getBoundingClientRect().bottom"
        assert 0 < page.run(low) <= page.run("return innerHeight")
    assert len(page.texts(".numbers > div")) == 3
    with page.phone():
        low = "return document.querySelector('.numbers').getBoundingClientRect().bottom"
        assert page.run(low) <= 844
