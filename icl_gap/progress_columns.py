"""Columns of the progress bars of a terminal, and the text of times."""

from __future__ import annotations

import math
from datetime import timedelta

from rich.progress import ProgressColumn, Task
from rich.text import Text


class Rate(ProgressColumn):
    """Rate in items per second."""

    def render(self, task: Task) -> Text:
        """Return the rate; nothing where it is not known yet."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")


class Times(ProgressColumn):
    """Time since the start, and the time left at the rate of the work so far."""

    def render(self, task: Task) -> Text:
        """Return both times, or that since the start alone where the rate is not known yet."""
        elapsed = task.finished_time if task.finished else task.elapsed
        if elapsed is None:
            return Text("")
        text = times_text(
            task.completed, task.total or 0, elapsed, task.fields.get("start", (0.0, 0))
        )
        return Text(text, style="progress.remaining")


def times_text(
    done: float, total: float, seconds: float, start: tuple[float, float] = (0.0, 0)
) -> str:
    """Return the time since the start, and the time left at the rate of the work so far.

    Args:
        done: Number of items that are finished.
        total: Number of all items; 0 if it is not known.
        seconds: Time since the start.
        start: Where the rate is counted from: a time since the start, and the items finished then.
    """
    text = f"{timedelta(seconds=int(seconds))} elapsed"
    began, before = start
    if before < done < total:
        left = (seconds - began) * (total - done) / (done - before)
        text += f", {timedelta(seconds=math.ceil(left))} left"
    return text
