"""Screen readers and keyboards: no serious finding of axe-core, in light and dark."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from analysis.synthetic import analyze
from report.pages import Page
from studies import save_card, save_study

from icl_gap.report import write_comparison

AXE = files("axe_core_python").joinpath("axe.min.js")
RUN = """
const done = arguments[0];
axe.run(document, {resultTypes: ["violations"]}).then((found) => done(found.violations.map(
  (each) => [each.impact, each.id, each.nodes[0].html])));
"""


def findings(page: Any) -> list[list[str]]:
    """The serious findings on the page as it is."""
    page.run(AXE.read_text(encoding="utf-8"))
    found = page.browser.execute_async_script(RUN)
    return [each for each in found if each[0] in {"serious", "critical"}]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_no_serious_finding(opened, study, scheme) -> None:
    page = opened(study)
    with page.media(prefers_color_scheme=scheme):
        page.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
        assert findings(page) == []
        page.choose("outcome", "0")
        page.open()
        page.run("document.querySelectorAll('#request details').forEach(e => { e.open = true; })")
        assert findings(page) == []


def test_a_fault_would_be_found(opened, study) -> None:
    page = opened(study)
    select = "document.querySelector('#filters select')"
    page.run(f"{select}.parentNode.replaceWith({select})")
    assert [each[1] for each in findings(page)] == ["select-name"]


def test_the_comparison_has_no_serious_finding(browser, tmp_path) -> None:
    card = save_card(tmp_path / "data")
    both = [save_study(tmp_path / name, card) for name in ("a", "b")]
    first, second = [(each, analyze(each, resamples=200)) for each in both]
    write_comparison(first, second, tmp_path / "c.html")
    assert findings(Page(browser, tmp_path / "c.html")) == []
