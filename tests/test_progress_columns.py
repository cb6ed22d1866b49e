"""Rate and times of a progress bar."""

from __future__ import annotations

import pytest
from rich.progress import Progress

from icl_gap.progress_columns import Rate, Times


def test_progress_tells_the_rate() -> None:
    clock = iter(range(1000))
    progress = Progress(Rate(), get_time=lambda: next(clock))
    task = progress.add_task("", total=10)
    assert Rate().render(progress.tasks[0]).plain == ""
    for _ in range(5):
        progress.advance(task, 2)
    assert Rate().render(progress.tasks[0]).plain.endswith("/s")


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
    assert Times().render(bar.tasks[0]).plain == said
