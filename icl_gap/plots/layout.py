"""Layout: figures whose size follows from that of their panels.

matplotlib's constrained layout makes room for titles, labels and legends, and fits panels into the
rest of a figure of a given size. Here the panels have given sizes, and the figure is resized.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

PAD = 0.05
"""Inches at the edges of a figure and around each panel with its labels; half of it vertically."""
ROUNDS = 5
TOLERANCE = 0.001
"""Inches by which a panel may differ from its size."""
SPARE = 4.0
"""Inches that a figure has for labels before it is resized, so that no panel collapses."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, outside matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=PAD, h_pad=PAD / 2, wspace=0, hspace=0)
    figure = Figure(figsize=(width, height), layout=engine)
    FigureCanvasAgg(figure)
    return figure


def laid_out_size(figure: Figure, ax: Axes) -> tuple[float, float]:
    """Lay out a figure, and return the width and height that a panel got, in inches."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    width, height = figure.get_size_inches() * ax.get_position(original=True).size
    return float(width), float(height)


def resize(figure: Figure, ax: Axes, size: tuple[float, float], total: tuple[float, float]) -> None:
    """Resize a figure so that its panels get their sizes, and keep the layout from then on.

    Args:
        figure: The figure, with everything that it shows.
        ax: One of its panels.
        size: Width and height in inches that the panel shall get.
        total: Width and height in inches of all columns and rows of panels, and of the spaces
            between them, when the panel has that size.
    """
    # Labels keep their sizes, so that a change of the figure goes to the panels; but a panel of
    # another size may get other tick labels.
    for _ in range(ROUNDS):
        width, height = laid_out_size(figure, ax)
        if max(abs(width - size[0]), abs(height - size[1])) < TOLERANCE:
            break
        across, down = figure.get_size_inches()
        across += total[0] * (1 - width / size[0])
        down += total[1] * (1 - height / size[1])
        figure.set_size_inches(round(float(across), 4), round(float(down), 4))
    figure.set_layout_engine("none")
    # The solver's last digits differ from run to run; without them the files are the same.
    for each in figure.axes:
        left, bottom, width, height = each.get_position(original=True).bounds
        each.set_position((round(left, 8), round(bottom, 8), round(width, 8), round(height, 8)))


def offset(ax: Axes, transform: Transform, right: float, up: float) -> Transform:
    """Return coordinates moved by a length in inches, whatever the size of the panel."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    if figure is None:
        return transform
    return transform + ScaledTranslation(right, up, figure.dpi_scale_trans)
