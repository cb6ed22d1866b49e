"""Marks of figures: their numbers by pointer, finger and keyboard."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

TIP = "return document.getElementById('tip').textContent"
CARD = "document.querySelector('#first .card')"


@pytest.fixture
def page(opened, study) -> Any:
    page = opened(study)
    page.run(f"{CARD}.scrollIntoView({{block: 'center'}})")
    return page


def tips(page: Any) -> list[str]:
    """The numbers of each mark of the first figure."""
    return page.run(f"return [...{CARD}.querySelectorAll('[data-tip]')].map(e => e.dataset.tip)")


def test_marks_have_their_numbers_and_no_second_tooltip(page) -> None:
    assert len(tips(page)) >= 2
    assert any("relative gap: 0.500" in tip for tip in tips(page))
    assert page.run("return document.querySelectorAll('svg g > title').length") == 0


def test_arrow_keys_step_through_the_marks(page) -> None:
    page.run(f"{CARD}.focus()")
    page.press("Home")
    found = [page.run(TIP)]
    for _ in tips(page)[1:]:
        page.press("ArrowRight")
        found.append(page.run(TIP))
    assert found == tips(page)
    page.press("ArrowRight")
    assert page.run(TIP) == tips(page)[0]
    page.press("ArrowLeft")
    assert page.run(TIP) == tips(page)[-1]
    assert page.run("return document.querySelectorAll('.lit').length") == 1
    page.press("Escape")
    assert page.run(TIP) == ""
    page.press("Home")
    page.run("document.activeElement.blur()")
    assert page.run(TIP) == ""


def test_a_pointer_over_a_mark_shows_it(page) -> None:
    mark = page.browser.find_element(By.CSS_SELECTOR, "#first [data-tip]")
    ActionChains(page.browser).move_to_element(mark).perform()
    assert page.run(TIP) == tips(page)[0]
    ActionChains(page.browser).move_to_element(
        page.browser.find_element(By.CSS_SELECTOR, ".lead")
    ).perform()
    assert page.run(TIP) == ""


def test_a_finger_need_not_hit_a_mark(page) -> None:
    with page.phone():
        page.run(f"{CARD}.scrollIntoView({{block: 'center'}})")
        x, y = page.run(
            "const {right, top} = document.querySelector('#first [data-tip]')"
            ".getBoundingClientRect(); return [right + 8, top - 8];"
        )
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            event = {"type": kind, "touchPoints": points}
            page.browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        page.until(TIP)
        assert page.run(TIP) == tips(page)[0]
        left, right = page.run(
            "const {left, right} = document.getElementById('tip').getBoundingClientRect();"
            "return [left, right];"
        )
        assert 0 <= left < right <= 390
