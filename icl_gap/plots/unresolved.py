"""The strip below a panel, where what has no number on the y axis is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from icl_gap.plots.content import Mark
from icl_gap.plots.draw import marker_style, ring_style, shifted
from icl_gap.plots.point_text import hang
from icl_gap.plots.series_style import GREY, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches.
STRIP_LINE = 0.1
MARKER_ROOM = 0.2
MARKER_STEP = 0.07


def strip_height(marks: Sequence[Mark], width: float, absent: str) -> float:
    """How high the strip below a panel must be, in inches; 0 if no number is missing.

    Args:
        marks: The panel's.
        width: Its width, in inches.
        absent: Why numbers are missing.
    """
    if all(mark.y for mark in marks):
        return 0.0
    return STRIP_LINE * len(_words(marks, width, absent)) + _room(marks) + 0.06


def _room(marks: Sequence[Mark]) -> float:
    """The height of the markers' part: series stand at heights of their own."""
    levels = {mark.series for mark in marks if mark.y is None and mark.x is not None}
    return max(MARKER_ROOM, MARKER_STEP * len(levels)) if levels else 0.0


def _words(marks: Sequence[Mark], width: float, absent: str) -> list[str]:
    """What stands in the strip; models without a size have no marker, so they are named."""
    missing = [mark for mark in marks if mark.y is None]
    if not missing:
        return [f"{absent.partition(':')[0]}: none"]
    sizeless = sorted({mark.point.model for mark in missing if mark.x is None})
    also = "also " if len(sizeless) < len({mark.point.model for mark in missing}) else ""
    named = f" ({also}{', '.join(sizeless)})" if sizeless else ""
    return textwrap.wrap(absent + named, int(width / 0.05))


def draw_strip(
    ax: Axes, marks: Sequence[Mark], look: Mapping[str, Look], width: float, absent: str
) -> None:
    """Fill the strip below a panel: one hollow marker for each missing number.

    Args:
        ax: The strip.
        marks: The panel's.
        look: Of every series.
        width: Of the panel, in inches.
        absent: Why numbers are missing.
    """
    height = ax.bbox.height / ax.bbox.width * width
    ax.set(ylim=(0, height), yticks=[])
    ax.set_facecolor("0.965")
    ax.spines["left"].set_visible(False)
    ax.text(
        0.02,
        height - 0.025,
        "\n".join(_words(marks, width, absent)),
        transform=ax.get_yaxis_transform(),
        va="top",
        fontsize=6,
        color=GREY,
    )
    placed = [(mark, mark.x) for mark in marks if mark.y is None and mark.x is not None]
    levels = list(dict.fromkeys(mark.series for mark, _ in placed))
    room = _room(marks)
    for mark, x in placed:
        style = look[mark.series]
        # Close sizes would hide each other at one height.
        level = (levels.index(mark.series) + 0.5) / len(levels)
        look_of = {**marker_style(mark, style), "markerfacecolor": "white"}
        place = [x.value], [0.03 + room * (1 - level)]
        (marker,) = ax.plot(*place, **look_of, transform=shifted(ax, style))
        hang(marker, mark.tip)
        if mark.estimated:
            ax.plot(*place, **ring_style(mark, style), transform=shifted(ax, style))
