"""What reaches the terminal."""

from __future__ import annotations

import pytest
from rich.progress import Progress

from icl_gap.cli.console import _Rate, _Times, show_progress, show_table


def test_progress_tells_the_rate() -> None:
    clock = iter(range(1000))
    progress = Progress(_Rate(), get_time=lambda: next(clock))
    task = progress.add_task("", total=10)
    assert _Rate().render(progress.tasks[0]).plain == ""
    for _ in range(5):
        progress.advance(task, 2)
    assert _Rate().render(progress.tasks[0]).plain.endswith("/s")


def test_tracked_items_pass_unchanged(capsys) -> None:
    assert list(show_progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_tables_show_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([{"name": "[bold]x[/bold]\x07", "n": "1"}], left=("name",))
    shown = capsys.readouterr().out
    assert r"[bold]x[/bold]\x07" in shown


@pytest.mark.parametrize(
    ("completed", "elapsed", "said"),
    [
        (0, 3.0, "0:00:03 elapsed"),
        (10, 60.0, "0:01:00 elapsed, 0:09:00 left"),
        (99, 99.0, "0:01:39 elapsed, 0:00:01 left"),
        (100, 100.0, "0:01:40 elapsed"),
    ],
)
def test_the_time_left_follows_from_the_rate_since_the_start(completed, elapsed, said) -> None:
    now = iter([0.0])  # the start; all that follows is later
    bar = Progress(get_time=lambda: next(now, elapsed))
    task = bar.add_task("", total=100)
    bar.update(task, completed=completed)
    assert _Times().render(bar.tasks[0]).plain == said
