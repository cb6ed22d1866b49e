"""The calibration's results as text: one row a setting, and one row a group in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from calibration.bars import Results, misses
from calibration.measures import Measured

COLUMNS = {
    "slope held": "held",
    "width": "width",
    "bias": "bias",
    "scatter": "tau",
    "scatter held": "tau held",
    "excludes 0": "excl. 0",
    "power": "power",
    "narrows": "narrows",
    "widens": "widens",
    "no change": "no ch.",
    "undetermined": "undet.",
    "false verdict": "false",
    "false of given": "of given",
    "pooled verdict": "pooled",
    "permutation": "perm.",
    "kendall": "Kendall",
    "new model within": "new in",
    "new model beyond": "new out",
    "closed": "closed",
    "false closed": "false cl.",
    "open": "open",
    "false open": "false op.",
    "fitted": "fitted",
}
"""Measures by setting, with their heads."""
SUMMARY = {
    "slope held": "slope interval holds",
    "bias": "median bias",
    "false verdict": "false verdicts",
    "permutation": "permutation test rejects",
    "new model within": "prediction holds, in range",
    "new model beyond": "prediction holds, beyond",
    "false closed": "false `closed`",
    "false open": "false `open`",
    "power": "power of the slope's interval",
}
"""Measures by group, with their heads."""
PLAIN = frozenset({"width", "bias", "scatter"})
"""Measures that are no shares."""


def setting_rows(results: Results) -> Iterator[str]:
    """Yield a table with one line a setting: percentages, or numbers for widths and biases.

    A figure outside its bar is marked: `!` if chance hardly explains it, else `?`.
    """
    marks = {
        (miss.where, miss.bar.measure): "!" if miss.certain else "?" for miss in misses(results)
    }
    yield f"{'setting':44}" + "".join(f"{head:>13}" for head in COLUMNS.values())
    for setting, found in results:
        where = f"{setting.group}, {setting.name}"
        cells = [
            _with_error(name, found.get(name)) + marks.get((where, name), " ") for name in COLUMNS
        ]
        yield f"{where:44}" + "".join(f"{cell:>13}" for cell in cells)


def _with_error(name: str, found: Measured | None) -> str:
    if found is None:
        return "n/a"
    if name in PLAIN:
        return f"{found.value:.3f}±{found.error:.3f}"
    return f"{100 * found.value:.1f}±{100 * found.error:.1f}"


def group_rows(results: Results) -> Iterator[str]:
    """Yield the lines of a Markdown table: the lowest and highest value over each group."""
    yield f"| settings | number | {' | '.join(SUMMARY.values())} |"
    yield "| --- " * (len(SUMMARY) + 2) + "|"
    for group, members in groupby(results, key=lambda result: result[0].group):
        found = [measured for _, measured in members]
        cells = [_span(name, found) for name in SUMMARY]
        yield f"| {group} | {len(found)} | {' | '.join(cells)} |"


def _span(name: str, found: Sequence[Mapping[str, Measured]]) -> str:
    values = [each[name].value for each in found if name in each]
    if not values:
        return "n/a"
    ends = (min(values), max(values))
    low, high = (f"{v:.3f}" if name in PLAIN else f"{100 * v:.1f}" for v in ends)
    percent = "" if name in PLAIN else "%"
    return f"{low}{percent}" if low == high else f"{low} to {high}{percent}"
