"""Gaps as a pandas frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import GapPoint

if TYPE_CHECKING:
    import pandas as pd

_PLAIN = (
    "model", "family", "n_params", "n_params_non_embedding", "size_source", "training_tokens",
    "training_seed", "trained", "dataset", "split", "partial", "selection", "shots", "query_split",
)  # fmt: skip
_ESTIMATES = ("a_id", "a_ood", "gap", "smooth")
_NUMBERS = (
    "unresolved_because", "exact", "detectable", "n_queries", "n_clusters", "n_seeds",
    "seed_share", "n_skipped", "n_failed", "shots_effective", "coverage_id", "coverage_ood",
)  # fmt: skip
_WHOLE = (
    "n_params", "n_params_non_embedding", "training_tokens", "training_seed", "shots", "n_queries",
    "n_clusters", "n_seeds", "n_skipped", "n_failed",
)  # fmt: skip
"""Columns of whole numbers, some of which may be missing."""
_TEXTS = (
    "model", "family", "size_source", "dataset", "split", "partial", "selection", "query_split",
    "unresolved_because", "flags",
)  # fmt: skip
_FLOAT_ENDS = (
    "_low", "_high", "p_value", "p_holm", "p_bh", "_share", "detectable", "_effective",
    "coverage_id", "coverage_ood",
)  # fmt: skip
"""Ends of the names of columns of other numbers, beside those of estimates."""


def gap_frame(points: Iterable[GapPoint]) -> pd.DataFrame:
    """Return gaps as a frame, one row a gap; see `Analysis.to_frame` for its columns."""
    import pandas as pd

    empty = dict.fromkeys(_columns())
    frame = pd.DataFrame([empty | _row(point) for point in points], columns=list(empty))
    floats = [name for name in empty if name in _ESTIMATES or name.endswith(_FLOAT_ENDS)]
    types = dict.fromkeys(floats, "float64") | dict.fromkeys(_WHOLE, "Int64")
    return frame.astype(types | dict.fromkeys(_TEXTS, "str") | {"trained": bool, "exact": bool})


def _columns() -> Iterable[str]:
    """Yield the names of all columns, in their order."""
    yield from _PLAIN
    for name in _ESTIMATES:
        yield from (name, f"{name}_low", f"{name}_high")
    yield from _NUMBERS
    yield from ("flags", "simultaneous_low", "simultaneous_high", "fieller_low", "fieller_high")
    yield from ("bounds_low", "bounds_high", "p_value", "p_holm", "p_bh")


def _row(point: GapPoint) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(point, name) for name in (*_PLAIN, *_NUMBERS)}
    for name in _ESTIMATES:
        estimate: Estimate | None = getattr(point, name)
        if estimate is not None:
            row[name] = estimate.value
            row[f"{name}_low"], row[f"{name}_high"] = estimate.low, estimate.high
    for name in ("simultaneous", "fieller", "bounds"):
        if (ends := getattr(point, name)) is not None:
            row[f"{name}_low"], row[f"{name}_high"] = ends
    row["flags"] = "; ".join(point.flags)
    test = point.test
    return row | {"p_value": test.p_value, "p_holm": test.p_holm, "p_bh": test.p_bh}
