"""Colours of a heat map, and the numbers written on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from icl_gap.plots.axes import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

    from icl_gap.analysis import Estimate

SIGNED_MAP = "RdBu_r"
"""Colours of gaps: white at 0, red above and blue below, as readers with colour blindness can tell
them apart. Where all colours are lost, the signs of the numbers remain."""
SHARE_MAP = "cividis"
"""Colours of accuracies: uniform, and the same to readers with colour blindness."""
UNKNOWN = (0.95, 0.95, 0.95)
TICK_ROOM = 0.4
"""Inches that a tick label of the colour bar needs."""


def shades_of(values: Sequence[float], scale: Scale) -> ScalarMappable:
    """Return colours from -1 to 1 for gaps, and from 0 to the highest for accuracies.

    Those of smooth gaps, which are often small, reach as far from 0 as the values.
    """
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if scale == "share":
        limits, colours = (0.0, max([0.05, *values])), SHARE_MAP
    else:
        reach = 1.0 if scale == "gap" else min(1.0, max([0.1, *map(abs, values)]))
        limits, colours = (-reach, reach), SIGNED_MAP
    shades = ScalarMappable(Normalize(*limits), mpl.colormaps[colours].resampled(65))
    shades.set_array(list(values))
    return shades


def draw_bar(ax: Axes, shades: ScalarMappable, label: str, width: float) -> None:
    """Draw the colour bar; with an arrow if there are gaps below it."""
    from matplotlib.ticker import MaxNLocator

    values, low = shades.get_array(), shades.norm.vmin
    beyond = low is not None and values is not None and len(values) and min(values) < low
    bar = ax.figure.colorbar(
        shades,
        cax=ax,
        orientation="horizontal",
        extend="min" if beyond else "neither",
        ticks=MaxNLocator(max(2, min(4, int(width / TICK_ROOM))), steps=[1, 2, 5, 10]),
        label=label,
    )
    bar.outline.set_visible(False)
    if bar.solids is not None:
        # Else vector files hold a picture, which a page that may load nothing does not show.
        bar.solids.set(rasterized=False, edgecolor="face")


def to_rgb(shades: ScalarMappable, value: Estimate | None) -> tuple[float, float, float]:
    """Return the colour of a cell; grey for one without a number."""
    if value is None:
        return UNKNOWN
    import numpy as np

    red, green, blue, _ = map(float, shades.to_rgba(np.array([value.value]))[0])
    return red, green, blue


def short_number(value: float) -> str:
    """Format a number with two digits, as narrow as possible: `.42` or `1.0`, with a minus sign."""
    short = f"{value:.2f}".replace("0.", ".", 1).replace("-.00", ".00")
    text = short if abs(value) < 0.995 else f"{value:.1f}"
    return text.replace("-", "\N{MINUS SIGN}")


def text_colour(colour: Sequence[float]) -> str:
    """Return black or white: the one with the higher contrast to a colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"
