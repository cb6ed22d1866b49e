"""The simulated settings, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from calibration.simulator import CellTruth, StudyTruth

SMALLEST, LARGEST = 8.5, 10.5
"""log10 of the sizes of all families: two decades."""
SHOTS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class SimulatedSetting:
    """One truth under a name; settings of a group stand in one row of the summary."""

    group: str
    name: str
    truth: StudyTruth
    short: bool = False
    """True if the short form in `make test-slow` has it."""

    @property
    def models(self) -> int:
        """Number of models."""
        return len(self.truth.sizes)

    @property
    def trendless(self) -> bool:
        """True if no cell has a trend."""
        return all(cell.slope == 0 for cell in self.truth.cells)

    @property
    def resolved(self) -> bool:
        """True if the accuracy ID of all models is at least 0.1 in all cells."""
        return min(min(cell.a_id) for cell in self.truth.cells) >= 0.1


def even(models: int) -> tuple[float, ...]:
    """Return evenly spaced sizes over two decades, as log10."""
    return tuple(map(float, np.linspace(SMALLEST, LARGEST, models)))


def rising(low: float, high: float, models: int = 5) -> tuple[float, ...]:
    """Return accuracies that rise with size by the same factor at each step."""
    return tuple(map(float, np.geomspace(low, high, models)))


def s_shaped(low: float, high: float, models: int = 5) -> tuple[float, ...]:
    """Return accuracies that rise with size, evenly in their log-odds."""
    odds = np.linspace(np.log(low / (1 - low)), np.log(high / (1 - high)), models)
    return tuple(map(float, 1 / (1 + np.exp(-odds))))


def family(
    models: int = 5,
    *,
    scatter: float = 0.05,
    slope: float = 0.0,
    level: float = 0.4,
    a_id: float | tuple[float, ...] = 0.6,
    **changes: object,
) -> StudyTruth:
    """Return a family in one cell, with unseen models in the range of sizes and beyond it."""
    accuracies = a_id if isinstance(a_id, tuple) else (a_id,) * models
    truth = StudyTruth(
        sizes=even(models),
        cells=(CellTruth(5, "test", level, slope, accuracies),),
        scatter=scatter,
        unseen=(9.3, 11.0),
    )
    return replace(truth, **changes)  # type: ignore[arg-type]


def in_cells(truth: StudyTruth, *, shots: tuple[int, ...] = SHOTS, **train: object) -> StudyTruth:
    """Return a family in several cells: each number of shots, on both sides.

    Args:
        truth: A family in one cell, that of the test side.
        shots: Numbers of shots.
        train: Changes to the cells of the train side.
    """
    (test,) = truth.cells
    cells = [
        replace(test, shots=k, side=side, **(train if side == "train" else {}))  # type: ignore[arg-type]
        for k in shots
        for side in ("test", "train")
    ]
    return replace(truth, cells=tuple(cells))


def _grid() -> Iterator[SimulatedSetting]:
    for models in (3, 4, 5, 8):
        for scatter in (0.0, 0.02, 0.05, 0.1):
            short = (models, scatter) in {(3, 0.05), (5, 0.0), (5, 0.05), (5, 0.1)}
            name = f"M {models}, tau {scatter:g}"
            yield SimulatedSetting("sizes", name, family(models, scatter=scatter), short)


def _requests() -> Iterator[SimulatedSetting]:
    for queries in (50, 1000):
        for scatter in (0.0, 0.05, 0.1):
            truth = family(scatter=scatter, queries=queries)
            short = (queries, scatter) == (1000, 0.05)
            yield SimulatedSetting("queries", f"{queries} q, tau {scatter:g}", truth, short)
    for seeds in (3, 5):
        yield SimulatedSetting("queries", f"{seeds} seeds, tau 0.05", family(seeds=seeds))
    for sd in (0.5, 3.0):
        for scatter in (0.0, 0.05):
            truth = family(scatter=scatter, difficulty_sd=sd)
            yield SimulatedSetting("heterogeneity", f"sd {sd:g}, tau {scatter:g}", truth)


def _accuracies() -> Iterator[SimulatedSetting]:
    for low in (0.02, 0.05, 0.1):
        for scatter in (0.0, 0.05, 0.1) if low == 0.05 else (0.05,):
            truth = family(scatter=scatter, a_id=rising(low, 0.8))
            name = f"{low:g} to 0.8, tau {scatter:g}"
            yield SimulatedSetting("rising", name, truth, short=low == 0.1)
    truth = family(a_id=rising(0.05, 0.8), queries=1000)
    yield SimulatedSetting("rising", "0.05 to 0.8, tau 0.05, 1000 q", truth)
    truth = family(a_id=s_shaped(0.05, 0.8))
    yield SimulatedSetting("rising", "0.05 to 0.8 as an S, tau 0.05", truth)
    for scatter in (0.0, 0.05, 0.1):
        truth = family(scatter=scatter, level=0.3, a_id=0.97)
        yield SimulatedSetting("ceiling", f"0.97, tau {scatter:g}", truth)
    uneven = replace(family(), sizes=(8.5, 8.7, 8.9, 9.1, 10.5))
    yield SimulatedSetting("uneven", "one size far off, tau 0.05", uneven, short=True)


def _slopes() -> Iterator[SimulatedSetting]:
    for slope, scatter in ((-0.1, 0.0), (-0.1, 0.05), (0.1, 0.05), (-0.2, 0.1)):
        name = f"slope {slope:g}, tau {scatter:g}"
        yield SimulatedSetting("slopes", name, family(scatter=scatter, slope=slope))
    truth = family(slope=-0.1, a_id=rising(0.1, 0.8))
    yield SimulatedSetting("slopes", "slope -0.1, 0.1 to 0.8, tau 0.05", truth)


def _cells() -> Iterator[SimulatedSetting]:
    for common in (0.0, 0.5, 0.9):
        truth = in_cells(family(common=common))
        yield SimulatedSetting("six cells", f"tau 0.05, rho {common:g}", truth, common == 0.5)
    yield SimulatedSetting("six cells", "tau 0.1, rho 0.5", in_cells(family(scatter=0.1)))
    yield SimulatedSetting("six cells", "tau 0, rho 0.5", in_cells(family(scatter=0.0)))
    for models in (5, 8):
        truth = in_cells(family(models, slope=-0.1))
        yield SimulatedSetting("power", f"slope -0.1, tau 0.05, M {models}", truth, models == 5)
    for scatter in (0.02, 0.05):
        opposite = in_cells(family(scatter=scatter, slope=-0.15), shots=(5,), slope=0.15)
        yield SimulatedSetting("sides", f"opposite slopes, tau {scatter:g}", opposite)
    floor = in_cells(family(), shots=(5,), a_id=(0.002,) * 5)
    yield SimulatedSetting("sides", "train at the floor, tau 0.05", floor)


def _equivalence() -> Iterator[SimulatedSetting]:
    """Settings just beyond the margin of 0.1, where claims of equivalence are easiest wrong."""
    for scatter in (0.0, 0.02):
        large = {"scatter": scatter, "queries": 1000, "a_id": 0.8}
        truth = family(slope=-0.055, **large)  # type: ignore[arg-type]
        yield SimulatedSetting("margin", f"change -0.11, tau {scatter:g}", truth, scatter == 0)
        for level in (0.03, 0.09, 0.11):
            truth = family(level=level, **large)  # type: ignore[arg-type]
            yield SimulatedSetting("margin", f"gap {level:g}, tau {scatter:g}", truth)


SETTINGS: tuple[SimulatedSetting, ...] = (
    *_grid(),
    *_requests(),
    *_accuracies(),
    *_slopes(),
    *_cells(),
    *_equivalence(),
)
