"""The panel below a panel, for the models that have no number on the y axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from icl_gap.plots.content import Mark
from icl_gap.plots.draw import NOTE, marker_style, ring_style, shifted
from icl_gap.plots.point_text import attach_tooltip
from icl_gap.plots.series_style import GREY, SeriesStyle
from icl_gap.plots.typesetting import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches.
TEXT_LINE = 0.115
MARKER_ROOM = 0.15
MARKER_STEP = 0.07


def unresolved_height(marks: Sequence[Mark], width: float, missing: str) -> float:
    """Return the height of the panel in inches; 0 if no number is missing.

    Args:
        marks: The marks of the panel above.
        width: The width of the panel in inches.
        missing: Why numbers are missing.
    """
    if all(mark.y for mark in marks):
        return 0.0
    return TEXT_LINE * len(_lines(marks, width, missing)) + _marker_room(marks) + 0.06


def _marker_room(marks: Sequence[Mark]) -> float:
    """Height of the part with markers, where each series has a height of its own."""
    levels = {mark.series for mark in marks if mark.y is None and mark.x is not None}
    return max(MARKER_ROOM, MARKER_STEP * len(levels)) if levels else 0.0


def _lines(marks: Sequence[Mark], width: float, missing: str) -> list[str]:
    """Text of the panel in lines; it names models without a size, which have no marker."""
    without = [mark for mark in marks if mark.y is None]
    sizeless = sorted({mark.point.model for mark in without if mark.x is None})
    also = "also " if len(sizeless) < len({mark.point.model for mark in without}) else ""
    named = f" ({also}{', '.join(sizeless)})" if sizeless else ""
    return wrapped(missing.partition(":")[0] + named, width, NOTE).split("\n")


def draw_unresolved(
    ax: Axes,
    marks: Sequence[Mark],
    styles: Mapping[str, SeriesStyle],
    size: tuple[float, float],
    missing: str,
) -> bool:
    """Draw one hollow marker for each missing number; where none is missing, leave a blank.

    Args:
        ax: The panel.
        marks: The marks of the panel above.
        styles: The style of every series.
        size: Width and height of the panel in inches.
        missing: Why numbers are missing.

    Returns:
        True if a number is missing.
    """
    width, height = size
    ax.set(ylim=(0, height), yticks=[])
    ax.spines["left"].set_visible(False)
    if all(mark.y for mark in marks):
        ax.set_facecolor("none")
        return False
    ax.set_facecolor("0.955")
    text = "\n".join(_lines(marks, width, missing))
    note = ax.text(0.02, height - 0.025, text, transform=ax.get_yaxis_transform())
    note.set(va="top", fontsize=NOTE, color=GREY)
    placed = [(mark, mark.x) for mark in marks if mark.y is None and mark.x is not None]
    levels = list(dict.fromkeys(mark.series for mark, _ in placed))
    room = _marker_room(marks)
    for mark, x in placed:
        series = styles[mark.series]
        # Models of close sizes would hide each other at one height.
        level = (levels.index(mark.series) + 0.5) / len(levels)
        position = [x.value], [0.03 + room * (1 - level)]
        hollow = {**marker_style(mark, series), "markerfacecolor": "white"}
        (marker,) = ax.plot(*position, **hollow, transform=shifted(ax, series.shift))
        attach_tooltip(marker, mark.tooltip)
        if mark.estimated:
            ax.plot(*position, **ring_style(mark, series), transform=shifted(ax, series.shift))
    return True
