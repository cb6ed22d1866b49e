"""An analysis as rows of text, for a terminal."""

from __future__ import annotations

from icl_gap.analysis.points import Analysis, Estimate


def table(analysis: Analysis) -> list[dict[str, str]]:
    """One row for each gap: benchmark, model, shots, queries, A_id, A_ood and gap, as text."""
    return [
        {
            "benchmark": point.benchmark + (" (partial)" if point.partial else ""),
            "model": point.model + ("" if point.trained else " (untrained)"),
            "params": human(point.n_params),
            "shots": str(point.shots),
            "queries": point.query_split,
            "A_id": _text(point.a_id),
            "A_ood": _text(point.a_ood),
            "gap": "undefined" if point.gap is None else _text(point.gap),
        }
        for point in analysis.points
    ]


def fit_table(analysis: Analysis) -> list[dict[str, str]]:
    """One row for each fit: family, benchmark, shots, queries, models used, slope and r2."""
    return [
        {
            "family": fit.family,
            "benchmark": f"{fit.dataset}/{fit.split}",
            "shots": str(fit.shots),
            "queries": fit.query_split,
            "models": str(fit.n_points),
            "gap per 10x parameters": _slope(fit.slope, fit.slope_interval),
            "r2": "-" if fit.r_squared is None else f"{fit.r_squared:.2f}",
        }
        for fit in analysis.fits
    ]


def human(count: float | None) -> str:
    """A parameter count in three digits, e.g. `6.7B`; a dash for None."""
    if count is None:
        return "-"
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        # What three digits would round up to 1000 belongs to the next unit.
        if count >= size * 0.9995:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def _text(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _slope(slope: float, ends: tuple[float, float] | None) -> str:
    return (
        f"{slope:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else f"{slope:+.3f} [not resolved]"
    )
