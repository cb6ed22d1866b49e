"""An analysis as rows of text, for a terminal."""

from __future__ import annotations

from icl_gap.analysis.points import Accuracies, Analysis, Estimate


def table(analysis: Analysis) -> list[dict[str, str]]:
    """One row for each gap: benchmark, model, shots, queries, A_id, A_ood and gaps, as text.

    The smooth gap has a column where some answers' log-likelihoods are known.
    """
    smooth = any(point.smooth for point in analysis.points)
    return [
        {
            "benchmark": point.benchmark + (" (partial)" if point.partial else ""),
            "model": point.model + ("" if point.trained else " (untrained)"),
            "params": human(point.n_params),
            "shots": str(point.shots),
            "queries": point.query_split,
            "A_id": _text(point.a_id),
            "A_ood": _text(point.a_ood),
            "gap": "unresolved" if point.gap is None else _text(point.gap),
            **({"smooth gap": _text(point.smooth)} if smooth else {}),
        }
        for point in analysis.points
    ]


def evidence_table(analysis: Analysis) -> list[dict[str, str]]:
    """One row for each gap: what stands beside it, as text."""
    skips = any(point.bounds for point in analysis.points)
    return [
        {
            "benchmark": point.benchmark,
            "model": point.model,
            "shots": str(point.shots),
            "queries": point.query_split,
            "raw ID/OOD": _both(point.raw),
            "canonical ID/OOD": _both(point.canonical),
            "Fieller": _ends(point.fieller),
            "detectable gap": _number(point.detectable),
            "McNemar p": " ".join(_p_value(test.p_value) for test in point.tests),
            "Holm": " ".join(_p_value(test.p_holm) for test in point.tests),
            **({"skips leave": _ends(point.bounds)} if skips else {}),
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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _both(found: Accuracies | None) -> str:
    return "-" if found is None else f"{found.id:.3f}/{found.ood:.3f}"


def _ends(ends: tuple[float | None, float | None] | None) -> str:
    return "-" if ends is None else f"[{', '.join(map(_number, ends))}]"


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _slope(slope: float, ends: tuple[float, float] | None) -> str:
    return (
        f"{slope:+.3f} [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else f"{slope:+.3f} [not resolved]"
    )
