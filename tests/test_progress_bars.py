"""Bars come where a person waits, in a terminal or a notebook, and nowhere else."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
import types
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from icl_gap import progress_bars
from icl_gap.progress_bars import bar_html, interactive_progress, show_progress


class Notebook:
    """What IPython gives in a kernel: a shell with a kernel, and outputs that can be replaced."""

    def __init__(self) -> None:
        self.outputs: list[list[str]] = []
        self.kernel = self
        self.display = types.SimpleNamespace(display=self._display)

    def get_ipython(self) -> Notebook:
        return self

    def _display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> object:
        assert raw
        assert display_id
        self.outputs.append(shown := [data["text/html"]])

        def update(data: dict[str, str], *, raw: bool) -> None:
            assert raw
            shown.append(data["text/html"])

        return types.SimpleNamespace(update=update)


@pytest.fixture
def notebook(monkeypatch) -> Notebook:
    found = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", found)
    monkeypatch.setattr(progress_bars, "NOTEBOOK_PATIENCE", 0.0)
    monkeypatch.setattr(progress_bars, "_REFRESH", 0.0)
    return found


@pytest.mark.parametrize("progress", [interactive_progress, show_progress])
def test_a_script_shows_nothing(progress, capfd) -> None:
    assert list(progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert capfd.readouterr() == ("", "")


def test_a_program_that_uses_the_package_prints_nothing_unasked(tmp_path) -> None:
    sweep = {"name": "s", "datasets": ["scan"], "models": ["nearest"], "limit": 2, "figures": []}
    code = f"import icl_gap; icl_gap.run_sweep({sweep}, {str(tmp_path / 'out')!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_person_at_a_prompt_sees_a_bar(monkeypatch) -> None:
    asked = []

    def show(items: str, description: str, total: int) -> str:
        asked.append((description, total))
        return items

    monkeypatch.setattr(progress_bars, "show_progress", show)
    assert list(interactive_progress("ab", "letters", 2)) == ["a", "b"]
    assert asked == []
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert list(interactive_progress("ab", "letters", 2)) == ["a", "b"]
    assert asked == [("letters", 2)]


def test_a_terminal_shows_count_and_rate() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    items = (time.sleep(0.15) or n for n in range(3))
    assert list(progress_bars._in_terminal(items, "a\x07b", 3, console)) == [0, 1, 2]
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert r"a\x07b" in shown
    assert "3/3" in shown
    assert re.search(r"[\d,.]+/s", shown)


@pytest.mark.parametrize("progress", [interactive_progress, show_progress])
def test_a_notebook_has_one_output_for_each_work(notebook, progress) -> None:
    assert list(progress("abc", "letters", 3)) == ["a", "b", "c"]
    assert list(progress("de", "more", 2)) == ["d", "e"]
    first, second = notebook.outputs
    assert [re.search(r"\d of \d", each)[0] for each in first] == [
        "1 of 3", "2 of 3", "3 of 3", "3 of 3",
    ]  # fmt: skip
    assert "left" not in first[-1]
    assert "more" in second[0]


def test_a_notebook_keeps_how_far_stopped_work_came(notebook) -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(show_progress(items(), "work", 9))
    assert "1 of 9" in notebook.outputs[0][-1]


def test_a_notebook_shows_nothing_of_quick_work(notebook, monkeypatch) -> None:
    monkeypatch.setattr(progress_bars, "NOTEBOOK_PATIENCE", 60.0)
    assert list(show_progress("abc", "letters", 3)) == ["a", "b", "c"]
    assert notebook.outputs == []


def test_a_terminal_of_ipython_is_no_notebook(monkeypatch, capfd) -> None:
    shell = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert list(show_progress("ab", "letters", 2)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_a_bar_tells_rate_and_time_left() -> None:
    shown = bar_html("<b>", 30, 120, 10.0)
    assert "&lt;b&gt;" in shown
    assert '<progress value="30" max="120"' in shown
    assert shown.endswith("30 of 120, 3.0/s, 0:00:10 elapsed, 0:00:30 left</div>")
    assert bar_html("x", 120, 120, 40.0).endswith("120 of 120, 3.0/s, 0:00:40 elapsed</div>")


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 1e6))
def test_a_bar_can_be_made_of_any_state(done: int, total: int, seconds: float) -> None:
    assert bar_html("x", done, total, seconds).startswith("<div>x <progress ")


def left(times: list[float], total: int) -> str:
    """What a bar says after items were finished at these times."""
    pace = progress_bars.Pace()
    began = pace._began
    for each in times:
        pace.note(began + each)
    text = bar_html("x", len(times), total, times[-1], pace.start)
    return text.partition("elapsed")[2].removeprefix(", ").removesuffix("</div>")


def test_the_time_left_does_not_count_what_was_done_before() -> None:
    kept = [0.0] * 90
    assert left([*kept, 5.0], 100) == ""  # nothing tells yet how long an item takes
    assert left([*kept, 5.0, 7.0], 100) == "0:00:16 left"
    assert left([*kept, 5.0, 7.0, 9.0, 11.0], 100) == "0:00:12 left"


def test_the_time_left_does_not_count_the_start() -> None:
    together = [30.0, 30.01, 30.02, 30.03]
    assert left(together, 100) == ""
    assert left([*together, *[each + 4 for each in together]], 100) == "0:01:33 left"


@given(st.lists(st.floats(0.2, 50), min_size=4, max_size=30), st.integers(0, 50))
def test_the_time_left_corrects_itself(gaps: list[float], kept: int) -> None:
    pace, now = progress_bars.Pace(), 0.0
    began = pace._began
    for _ in range(kept):
        pace.note(began)
    for gap in gaps:
        now += gap
        pace.note(began + now)
    # Whatever came before, the rate is that of the work since the first item that took some.
    seconds, done = pace.start
    assert done == kept + 1
    assert seconds == pytest.approx(gaps[0])
