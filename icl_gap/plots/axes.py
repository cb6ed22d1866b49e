"""Axes of figures: the quantities that recipes can name, and their scales, limits and ticks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from icl_gap.analysis import SCALES, Estimate, GapPoint, Metric, format_count
from icl_gap.metrics import METRICS
from icl_gap.plots.typesetting import FORMULA

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["size", "shots", "share", "gap", "smooth"]
Reader = Callable[[GapPoint], float | Estimate | None]
TICK_ROOM = 0.43
"""Inches that the tick label of a size needs."""
LETTER = 0.07
"""About the width of a letter of a tick label in inches."""
CLOSEST = 0.1
"""The least distance of two numbers of shots on a linear axis, relative to its length; numbers that
are closer stand on a logarithmic one."""
NAMES_LABEL = "model (size not known)"
"""Text beside an axis of models by name."""
QUERY_CAPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "pooled": "test and train queries pooled",
        "test": "test queries",
        "train": "train queries",
    }
)
FLAGGED = (
    "the sides' gaps have different signs, or a side is unresolved or at its floor or ceiling, so"
    " that no verdict rests on the pooled gap"
)
"""Meaning of a flag, in the words of `icl_gap.analysis.sides`."""
CONDITIONS = "exemplars from the query's own split (ID) or from the other (OOD)"


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity that an axis shows, or the colours of a heat map."""

    label: str
    """Text beside the axis, in which `{metric}` stands for the metric."""
    scale: Scale
    readers: Mapping[str | None, Reader]
    """Functions that read a point's numbers: one with the key None, or one for each condition."""
    caption: str = ""
    """Definition of the quantity, for the caption."""
    missing: str = ""
    """Reason why a point has no number."""
    empty: str = ""
    """Text of a panel in which no point has a number."""
    min_values: int = 0
    """The fewest different values that make a figure."""
    too_few: str = ""
    """Reason why results with fewer values are not drawn."""

    def label_for(self, metric: Metric) -> str:
        """Return the label, with the name of the metric in it."""
        return self.label.format(metric=METRICS[metric].label)

    def read(self, point: GapPoint) -> dict[str | None, Estimate | None]:
        """Return a point's numbers by condition; an exact one is an interval of width 0."""
        return {condition: _estimate(read(point)) for condition, read in self.readers.items()}


def _estimate(value: float | Estimate | None) -> Estimate | None:
    if value is None or isinstance(value, Estimate):
        return value
    return Estimate(value, value, value)


_ACCURACIES = {
    "a_id": Axis("{metric}, ID", "share", {None: lambda p: p.a_id}, CONDITIONS),
    "a_ood": Axis("{metric}, OOD", "share", {None: lambda p: p.a_ood}, CONDITIONS),
}
X_AXES: Mapping[str, Axis] = MappingProxyType(
    {
        **{
            key: Axis(
                scale.label,
                "size",
                {None: scale.of},
                "training FLOPs: 6 x parameters without embeddings x training tokens"
                if key == "training_flops"
                else "",
                min_values=1,
                too_few=f"no model has a number of {scale.label}",
            )
            for key, scale in SCALES.items()
        },
        "shots": Axis(
            "shots",
            "shots",
            {None: lambda p: p.shots},
            min_values=2,
            too_few="there is only one number of shots",
        ),
        **_ACCURACIES,
    }
)
Y_AXES: Mapping[str, Axis] = MappingProxyType(
    {
        "gap": Axis(
            "relative gap",
            "gap",
            {None: lambda p: p.gap},
            f"relative gap = {FORMULA}",
            missing="unresolved: A_id is too near 0 to divide by",
            empty="no resolved gap",
        ),
        "smooth": Axis(
            "smooth gap",
            "smooth",
            {None: lambda p: p.smooth},
            "smooth gap: the relative gap of the gold target's likelihood per token",
            missing="not known: no log-likelihoods",
            empty="no log-likelihoods",
            min_values=1,
            too_few="no log-likelihoods of gold targets are known",
        ),
        "accuracy": Axis(
            "{metric}", "share", {"ID": lambda p: p.a_id, "OOD": lambda p: p.a_ood}, CONDITIONS
        ),
        **_ACCURACIES,
    }
)


def set_x(ax: Axes, values: Sequence[Estimate], scale: Scale, width: float) -> None:
    """Set the scale, limits and ticks of an x axis.

    Args:
        ax: The panel.
        values: The numbers of all panels, so that panels can be compared.
        scale: The scale of the axis.
        width: The width of the panel in inches, which decides how many ticks it gets.
    """
    if values:
        _SET_X[scale](ax, values, width)
    else:
        ax.set_xticks([])


def set_names(ax: Axes, names: Sequence[str], width: float) -> None:
    """Set an x axis of models by name, the n-th at n.

    Args:
        ax: The panel.
        names: The names.
        width: The width of the panel in inches; names that do not fit side by side are turned.
    """
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xticks(range(len(names)), list(names))
    if max(map(len, names)) * LETTER * len(names) > width:
        ax.tick_params(axis="x", labelrotation=45)
        for label in ax.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")


def set_y(ax: Axes, ends: tuple[float, float], height: float) -> None:
    """Set the limits of a y axis, and as many ticks as its height in inches allows."""
    from matplotlib.ticker import MaxNLocator

    ax.set_ylim(ends)
    ax.yaxis.set_major_locator(MaxNLocator(max(2, int(height / 0.17)), steps=[1, 2, 5, 10]))


def limits(values: Sequence[Estimate], scale: Scale) -> tuple[float, float]:
    """Return the limits of an axis of accuracies or gaps, the same for all panels."""
    return _LIMITS[scale](values)


def _set_shots(ax: Axes, values: Sequence[Estimate], width: float) -> None:
    del width
    from matplotlib.ticker import NullLocator

    shots = sorted({each.value for each in values})
    span = max(1.0, shots[-1] - shots[0])
    if min((b - a for a, b in pairwise(shots)), default=span) >= CLOSEST * span:
        ax.set_xlim(shots[0] - 0.12 * span, shots[-1] + 0.12 * span)
    else:
        # Logarithmic above 1 and linear below, so that 0 shots can be drawn.
        ax.set_xscale("symlog", linthresh=1, linscale=0.9)
        low, high = _position(shots[0]), _position(shots[-1])
        pad = max(0.12, 0.12 * (high - low))
        ax.set_xlim(_shots_at(low - pad), _shots_at(high + pad))
    ax.set_xticks(shots, [str(int(value)) for value in shots])
    ax.xaxis.set_minor_locator(NullLocator())


def _position(shots: float) -> float:
    """Position of a number of shots on the scale; 0 to 1 is as far as 1 to 10."""
    return shots if shots <= 1 else 1 + math.log10(shots)


def _shots_at(position: float) -> float:
    return position if position <= 1 else 10 ** (position - 1)


def _set_sizes(ax: Axes, values: Sequence[Estimate], width: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = (end(each.value for each in values) for end in (min, max))
    pad = max(1.35, (10 / (high / low)) ** 0.5)
    low, high = low / pad, high * pad
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    subs = (1.0, 3.0) if 2 * math.log10(high / low) * TICK_ROOM < width else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(value)))


def _set_shares(ax: Axes, values: Sequence[Estimate], width: float) -> None:
    del width
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(_share_limits(values))
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def _share_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    top = max(max((value.high for value in values), default=1.0), 0.05)
    return -0.03 * top, 1.06 * top


def _gap_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    """Limits up to 1, the largest gap.

    A bar that reaches far below the lowest gap leaves the panel, since it would squeeze the rest;
    an arrow shows that, and the CSV has its end.
    """
    lowest = min([0.0, *(value.value for value in values)])
    return max(min([0.0, *(value.low for value in values)]), lowest - 0.25) - 0.05, 1.05


def _smooth_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    """Limits as for gaps, but only up to the highest value, since smooth gaps are often small."""
    top = max([0.1, *(value.high for value in values)])
    return _gap_limits(values)[0], min(1.05, 1.1 * top)


_SET_X: Mapping[Scale, Callable[[Axes, Sequence[Estimate], float], None]] = MappingProxyType(
    {"size": _set_sizes, "shots": _set_shots, "share": _set_shares}
)
_LIMITS: Mapping[Scale, Callable[[Sequence[Estimate]], tuple[float, float]]] = MappingProxyType(
    {"share": _share_limits, "gap": _gap_limits, "smooth": _smooth_limits}
)
