"""The axes that a figure can have: a table of what each reads of a point, and how it is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from icl_gap.analysis import SCALES, Estimate, GapPoint, Metric, human
from icl_gap.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scale = Literal["size", "shots", "share", "gap", "smooth"]
Read = Callable[[GapPoint], float | Estimate | None]
TICK_ROOM = 0.33
"""Inches that the label of a size needs."""
QUERIES: Mapping[str, str] = MappingProxyType(
    {
        "pooled": "test and train queries pooled",
        "test": "test queries",
        "train": "train queries",
    }
)
BOTH = "exemplars from the query's own split (ID) or from the other (OOD)"


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows."""

    label: str
    """`{metric}` stands for the kind of exact match."""
    scale: Scale
    parts: Mapping[str | None, Read]
    """What is read of a point: one number, under None, or one for each condition."""
    meaning: str = ""
    """For the caption."""
    absent: str = ""
    """Of points that have no such number: why."""
    empty: str = ""
    """Of a panel whose points all have none."""
    least: int = 0
    """Results with fewer different values have nothing to show on this axis."""
    lacking: str = ""
    """What to say of them."""

    def label_for(self, metric: Metric) -> str:
        """The axis' label."""
        return self.label.format(metric=METRICS[metric].label)

    def of(self, point: GapPoint) -> dict[str | None, Estimate | None]:
        """The numbers of a point; an exact one is an interval without width."""
        found = {part: read(point) for part, read in self.parts.items()}
        return {part: _estimate(value) for part, value in found.items()}


def _estimate(value: float | Estimate | None) -> Estimate | None:
    if value is None or isinstance(value, Estimate):
        return value
    return Estimate(value, value, value)


_ACCURACIES = {
    "a_id": Axis("{metric}, ID", "share", {None: lambda p: p.a_id}, BOTH),
    "a_ood": Axis("{metric}, OOD", "share", {None: lambda p: p.a_ood}, BOTH),
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
                least=1,
                lacking=f"no model has a number of {scale.label}",
            )
            for key, scale in SCALES.items()
        },
        "shots": Axis(
            "shots",
            "shots",
            {None: lambda p: p.shots},
            least=2,
            lacking="there is only one number of shots",
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
            "relative gap = (A_id - A_ood) / A_id",
            absent="unresolved: A_id not told from 0",
            empty="no defined gap",
        ),
        "smooth": Axis(
            "smooth gap",
            "smooth",
            {None: lambda p: p.smooth},
            "smooth gap: the relative gap of the gold answer's likelihood a token",
            absent="not known: no log-likelihoods",
            empty="no log-likelihoods",
            least=1,
            lacking="no log-likelihoods of gold answers are known",
        ),
        "accuracy": Axis(
            "{metric}", "share", {"ID": lambda p: p.a_id, "OOD": lambda p: p.a_ood}, BOTH
        ),
        **_ACCURACIES,
    }
)


def set_x(ax: Axes, values: Sequence[Estimate], scale: Scale) -> None:
    """Scale, limits and ticks of an x axis.

    Args:
        ax: Where.
        values: Of all panels, so that these can be compared.
        scale: The axis'.
    """
    if values:
        _SET_X[scale](ax, values)
    else:
        ax.set_xticks([])


def limits(values: Sequence[Estimate], scale: Scale) -> tuple[float, float]:
    """Limits of an axis of accuracies or gaps, the same for all panels."""
    return _LIMITS[scale](values)


def _set_shots(ax: Axes, values: Sequence[Estimate]) -> None:
    from matplotlib.ticker import NullLocator

    shots = sorted({each.value for each in values})
    # Logarithmic above 1 and linear below, so that 0 shots has a place.
    ax.set_xscale("symlog", linthresh=1, linscale=0.9)
    ax.set_xticks(shots, [str(int(value)) for value in shots])
    ax.xaxis.set_minor_locator(NullLocator())
    low, high = _place(shots[0]), _place(shots[-1])
    pad = max(0.12, 0.14 * (high - low))
    ax.set_xlim(_unplace(low - pad), _unplace(high + pad))


def _place(shots: float) -> float:
    """Where the scale puts a number of shots; from 0 to 1 is as far as from 1 to 10."""
    return shots if shots <= 1 else 1 + math.log10(shots)


def _unplace(place: float) -> float:
    return place if place <= 1 else 10 ** (place - 1)


def _set_sizes(ax: Axes, values: Sequence[Estimate]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = (end(each.value for each in values) for end in (min, max))
    pad = max(1.35, (10 / (high / low)) ** 0.5)
    low, high = low / pad, high * pad
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    subs = (1.0, 3.0) if 2 * math.log10(high / low) * TICK_ROOM < _inches(ax) else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: human(value)))


def _inches(ax: Axes) -> float:
    figure = ax.get_figure(root=True)
    return 0.0 if figure is None else ax.bbox.width / figure.dpi


def _set_shares(ax: Axes, values: Sequence[Estimate]) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlim(_share_limits(values))
    ax.xaxis.set_major_locator(MaxNLocator(4))


def _share_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    top = max(max((value.high for value in values), default=1.0), 0.05)
    return -0.03 * top, 1.06 * top


def _gap_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    """Up to 1, the largest gap.

    A bar that reaches far below the lowest gap runs out of the panel, as it would squeeze all else
    (the CSV has its end).
    """
    lowest = min([0.0, *(value.value for value in values)])
    return max(min([0.0, *(value.low for value in values)]), lowest - 0.6) - 0.05, 1.05


def _smooth_limits(values: Sequence[Estimate]) -> tuple[float, float]:
    """As of gaps, but only up to the highest, as smooth gaps are often small."""
    top = max([0.1, *(value.high for value in values)])
    return _gap_limits(values)[0], min(1.05, 1.1 * top)


_SET_X: Mapping[Scale, Callable[[Axes, Sequence[Estimate]], None]] = MappingProxyType(
    {"size": _set_sizes, "shots": _set_shots, "share": _set_shares}
)
_LIMITS: Mapping[Scale, Callable[[Sequence[Estimate]], tuple[float, float]]] = MappingProxyType(
    {"share": _share_limits, "gap": _gap_limits, "smooth": _smooth_limits}
)
