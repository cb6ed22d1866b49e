"""Many questions at once: adjusted p-values, and intervals that hold together.

A family is all gaps of one query split of a benchmark, or all its pooled gaps: those of all models,
numbers of shots and selections of exemplars. They are answers to the same queries and share their
resamples.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.points import GapPoint


def adjust_families(measured: Sequence[ResampledGap], *, confidence: float) -> list[ResampledGap]:
    """Return the gaps with adjusted p-values and simultaneous intervals.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        confidence: Confidence with which all simultaneous intervals of a family hold.
    """
    families: dict[tuple[str, str], list[int]] = defaultdict(list)
    for n, each in enumerate(measured):
        families[each.point.benchmark, each.point.query_split].append(n)
    points: dict[int, GapPoint] = {}
    for members in families.values():
        group = [measured[n] for n in members]
        p_values = np.array([each.point.test.p_value for each in group])
        adjusted = zip(holm(p_values), stats.false_discovery_control(p_values), strict=True)
        bands = max_t_intervals(group, confidence=confidence)
        for n, each, (p_holm, p_bh), band in zip(members, group, adjusted, bands, strict=True):
            test = replace(each.point.test, p_holm=float(p_holm), p_bh=float(p_bh))
            points[n] = replace(each.point, test=test, simultaneous=band)
    return [replace(each, point=points[n]) for n, each in enumerate(measured)]


def holm(p_values: Floats) -> Floats:
    """Return Holm's adjusted p-values, in the order given.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6(2), 65-70.
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return found


def max_t_intervals(
    family: Sequence[ResampledGap], *, confidence: float
) -> list[tuple[float, float] | None]:
    """Return intervals that hold all gaps of a family at once.

    gap ± c · SE, where c is the quantile over the resamples of the largest |t| of the family
    (sup-t band: Montiel Olea & Plagborg-Møller 2019, Journal of Applied Econometrics 34(1), 1-17).
    The draws of gaps with exact bounds say too little; their intervals are stretched to the
    confidence of Bonferroni's inequality. Each gap has the same part of the error.

    Returns:
        The ends for each gap, at most 1; None where it is unresolved.
    """
    resolved = [each for each in family if each.point.gap is not None]
    free = [each for each in resolved if not each.point.exact]
    error = (1 - confidence) / max(1, len(resolved))
    largest = np.zeros(1)
    if free:
        gaps = np.stack([each.gaps for each in free])
        centre = np.array([each.point.gap.value for each in free if each.point.gap])[:, None]
        spread = np.nanstd(gaps, axis=1, ddof=1)[:, None]
        t = np.nan_to_num(np.abs(gaps - centre) / spread, nan=np.inf)
        largest = t.max(axis=0)
    of_free = float(np.quantile(largest, 1 - error * len(free), method="higher"))
    of_exact = stats.norm.isf(error / 2) / stats.norm.isf((1 - confidence) / 2)
    found: list[tuple[float, float] | None] = []
    for each in family:
        gap = each.point.gap
        if gap is None:
            found.append(None)
            continue
        if each.point.exact:
            down, up = of_exact * (gap.value - gap.low), of_exact * (gap.high - gap.value)
        else:
            down = up = of_free * float(np.nanstd(each.gaps, ddof=1))
        found.append((float(gap.value - down), float(min(1.0, gap.value + up))))
    return found
