"""The bars that error rates are held to, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt

from calibration.measures import Measured
from calibration.settings import SimulatedSetting
from scipy import stats


@dataclass(frozen=True, slots=True)
class Bar:
    """Limits of a measure, for the settings to which they apply."""

    measure: str
    least: float
    most: float
    applies: Callable[[SimulatedSetting], bool]
    averaged: bool = False
    """True if the mean over those settings is held to the limits, in place of each."""


def _any(_: SimulatedSetting) -> bool:
    return True


def _scattered_five(setting: SimulatedSetting) -> bool:
    return setting.models >= 5 and setting.truth.scatter > 0


BARS = (
    Bar("slope held", 0.93, 1, lambda s: s.truth.scatter <= 0.1),
    Bar("slope held", 0, 0.98, _scattered_five, averaged=True),
    Bar("false verdict", 0, 0.05, _any),
    Bar("permutation", 0, 0.06, lambda s: s.trendless),
    Bar("permutation", 0.03, 1, lambda s: s.trendless and s.models >= 5),
    Bar("bias", -0.01, 0.01, lambda s: s.resolved),
    Bar("new model within", 0.92, 0.98, _any),
    Bar("new model beyond", 0.92, 0.98, _any),
    Bar("false closed", 0, 0.05, _any),
    Bar("false open", 0, 0.05, _any),
    Bar("pooled verdict", 0, 0.05, lambda s: s.group == "sides"),
    Bar("power", 0.5, 1, lambda s: s.group == "power"),
)
MEDIANS = frozenset({"bias"})
"""Measures with bars that are no shares."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A measure outside its bar."""

    where: str
    bar: Bar
    found: Measured

    @property
    def certain(self) -> bool:
        """True if chance in the simulation explains the miss at less than 2.5%."""
        return not allowed(self.bar, self.found, 0.025)

    def __str__(self) -> str:
        limit = f"{self.bar.least:g} to {self.bar.most:g}"
        told = f"{self.found.value:.3f} ± {self.found.error:.3f}, bar {limit}"
        return f"{self.where}: {self.bar.measure} {told}{'' if self.certain else ' (chance?)'}"


def allowed(bar: Bar, found: Measured, level: float) -> bool:
    """Test whether a measure is compatible with its bar.

    A share of one setting is tested by the exact binomial test with as many trials as studies; a
    median, or an average over settings, by its Monte-Carlo error.

    Args:
        bar: The bar.
        found: The measure.
        level: One-sided level of the test.
    """
    if bar.least <= found.value <= bar.most:
        return True
    over = found.value > bar.most
    limit = bar.most if over else bar.least
    if bar.averaged or bar.measure in MEDIANS:
        return bool(stats.norm.sf(abs(found.value - limit) / found.error) >= level)
    hits = round(found.value * found.studies)
    side = "greater" if over else "less"
    return bool(stats.binomtest(hits, found.studies, limit, alternative=side).pvalue >= level)


Results = Sequence[tuple[SimulatedSetting, Mapping[str, Measured]]]
"""Settings with what was measured in each."""


def held_to(results: Results) -> Iterator[tuple[str, Bar, Measured]]:
    """Yield every measure that has a bar, with the place it was found in."""
    for bar in BARS:
        members = [(s, found[bar.measure]) for s, found in results if _has(bar, s, found)]
        if not bar.averaged:
            for setting, found in members:
                yield f"{setting.group}, {setting.name}", bar, found
        elif members:
            yield f"mean of {len(members)} settings", bar, _mean([found for _, found in members])


def _has(bar: Bar, setting: SimulatedSetting, found: Mapping[str, Measured]) -> bool:
    return bar.applies(setting) and bar.measure in found


def _mean(found: Sequence[Measured]) -> Measured:
    value = sum(each.value for each in found) / len(found)
    error = sqrt(sum(each.error**2 for each in found)) / len(found)
    return Measured(value, error or inf, sum(each.studies for each in found))


def misses(results: Results) -> list[Miss]:
    """Return all measures outside their bars."""
    return [
        Miss(where, bar, found)
        for where, bar, found in held_to(results)
        if not bar.least <= found.value <= bar.most
    ]
