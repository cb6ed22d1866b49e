"""Tables of an analysis as rows of text."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.analysis.analyze import Analysis
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import Accuracies, Setting
from icl_gap.analysis.scaling.scale import SCALES
from icl_gap.analysis.scaling.slopes import GapFit, Slope
from icl_gap.metrics import METRICS


def gap_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each gap: benchmark, model, shots, queries, A_id, A_ood, gap.

    There is a column for the smooth gap if any is known, and for selections if there are several. A
    pooled gap that hides its sides has a mark.
    """
    smooth = any(point.smooth for point in analysis.points)
    several = len({point.selection for point in analysis.points}) > 1
    return [
        {
            "benchmark": point.benchmark + (" (partial)" if point.partial else ""),
            "model": point.model + ("" if point.trained else " (untrained)"),
            "params": size_text(point),
            "shots": str(point.shots),
            **({"selection": str(point.selection)} if several else {}),
            "queries": point.query_split + (" (flagged)" if point.flags else ""),
            "A_id": _text(point.a_id),
            "A_ood": _text(point.a_ood),
            "gap": "unresolved" if point.gap is None else _text(point.gap),
            **({"smooth gap": _text(point.smooth)} if smooth else {}),
        }
        for point in analysis.points
    ]


def evidence_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each gap: further intervals, tests and bounds."""
    points = analysis.points
    skips = any(point.bounds for point in points)
    several = len({point.selection for point in points}) > 1
    metrics = [m for m in METRICS if any(m in point.accuracies for point in points)]
    return [
        {
            "benchmark": point.benchmark,
            "model": point.model,
            "shots": str(point.shots),
            **({"selection": str(point.selection)} if several else {}),
            "queries": point.query_split,
            **{f"{metric} ID/OOD": _both(point.accuracies.get(metric)) for metric in metrics},
            "simultaneous": _ends(point.simultaneous),
            "Fieller": _ends(point.fieller),
            "detectable gap": _number(point.detectable),
            "p": _p_value(point.test.p_value),
            "Holm": _p_value(point.test.p_holm),
            "BH": _p_value(point.test.p_bh),
            "seeds' share": _number(point.seed_share),
            **({} if analysis.cluster is None else {"clusters": str(point.n_clusters)}),
            **({"bounds if unanswered": _ends(point.bounds)} if skips else {}),
        }
        for point in points
    ]


def side_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each contrast of the gaps of two sides."""
    several = len({each.selection for each in analysis.sides}) > 1
    return [
        {
            "benchmark": each.benchmark,
            "model": each.model,
            "params": size_text(each),
            "shots": str(each.shots),
            **({"selection": str(each.selection)} if several else {}),
            "g_test - g_train": _signed(each.contrast),
        }
        for each in analysis.sides
    ]


def comparison_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each difference between the gaps of two models, shots or selections."""
    several = len({each.selection for each in analysis.comparisons}) > 1
    return [
        {
            "benchmark": each.benchmark,
            **({} if each.model is None else {"model": each.model}),
            **({} if each.shots is None else {"shots": str(each.shots)}),
            **({"selection": str(each.selection)} if several else {}),
            "queries": each.query_split,
            f"gap of {each.first} less gap of {each.second}": _signed(each.difference),
        }
        for each in analysis.comparisons
    ]


def fit_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each fit: its slope, the scatter of models, tests and the verdict."""
    return [
        {
            "family": fit.family,
            "benchmark": fit.benchmark,
            "shots": str(fit.shots),
            "queries": fit.query_split,
            "models": str(fit.n_points),
            _slope_title(analysis): _slope(fit),
            "between models": _text(fit.between_model_sd),
            "lack of fit p": _p_value(fit.lack_of_fit.p_value),
            "R2": "-" if fit.r_squared is None else f"{fit.r_squared:.2f}",
            "without a model": _range([each.slope for each in fit.leave_one_out]),
            "permutation p": _p_value(fit.permutation_p),
            "Kendall p": _p_value(fit.trend.kendall_p),
            "best form": _best_form(fit),
            "verdict": fit.verdict,
            "at the largest": fit.closed,
        }
        for fit in analysis.fits
    ]


def estimator_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each fit with a line: its slope by several estimators."""
    return [
        {
            "family": fit.family,
            "benchmark": fit.benchmark,
            "shots": str(fit.shots),
            "queries": fit.query_split,
            "slope": _slope(fit),
            **{
                f"prior {each.prior_sd:g}": _signed_ends(each.slope_interval)
                for each in fit.sensitivity
            },
            "Paule-Mandel": f"{fit.classical.slope:+.3f} {_signed_ends(fit.classical.interval)}"
            if fit.classical
            else "-",
            "its tau": _number(fit.classical.between_model_sd) if fit.classical else "-",
        }
        for fit in analysis.fits
        if fit.unsupported is None
    ]


def common_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each slope that is common to several curves."""
    return [
        {
            "families": ", ".join(fit.families),
            "benchmark": fit.benchmark,
            "shots": ", ".join(map(str, fit.shots)),
            "queries": ", ".join(fit.query_splits),
            _slope_title(analysis): _slope(fit),
            "permutation p": _p_value(fit.permutation_p),
            "slopes differ, p": _p_value(fit.differ_p),
            "verdict": fit.verdict,
        }
        for fit in analysis.common
    ]


def reasoning_table(analysis: Analysis) -> list[dict[str, str]]:
    """Return one row for each reasoning gap: accuracies on composed questions and on the parts."""
    return [
        {
            "benchmark": found.dataset,
            "model": found.model,
            "params": format_count(found.n_params),
            "shots": str(found.shots),
            "queries": found.query_split,
            "exemplars": found.condition.upper(),
            "S_comp": _text(found.composed),
            "S_1": _text(found.first),
            "S_2": _text(found.second),
            "S_comp - S_1 S_2": _text(found.gap),
        }
        for found in analysis.reasoning
    ]


def format_count(count: float | None) -> str:
    """Return a large number with three digits, e.g. `6.7B` or `3.2e21`; a dash for None."""
    if count is None:
        return "-"
    if count >= 1e15:
        return f"{count:.3g}".replace("e+", "e")
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        # A number that would round up to 1000 takes the next letter.
        if count >= size * 0.9995:
            return f"{count / size:.3g}{letter}"
    return f"{count:.3g}"


def size_text(of: Setting) -> str:
    """Return a model's number of parameters, `~` before an estimate; a dash without one."""
    return ("~" if of.size_source == "estimated" and of.n_params else "") + format_count(
        of.n_params
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return "-"
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _range(slopes: Sequence[float]) -> str:
    return f"{min(slopes):+.3f} to {max(slopes):+.3f}" if slopes else "-"


def _both(found: Accuracies | None) -> str:
    return "-" if found is None else f"{found.id:.3f}/{found.ood:.3f}"


def _ends(ends: tuple[float | None, float | None] | None) -> str:
    return "-" if ends is None else f"[{', '.join(map(_number, ends))}]"


def _text(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _signed(estimate: Estimate | None) -> str:
    if estimate is None:
        return "unresolved"
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _slope_title(analysis: Analysis) -> str:
    return f"gap per 10x {SCALES[analysis.against].label}"


def _slope(fit: Slope) -> str:
    return f"{fit.slope:+.3f} {_signed_ends(fit.slope_interval)}"


def _signed_ends(ends: tuple[float, float] | None) -> str:
    return f"[{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else "[not resolved]"


def _best_form(fit: GapFit) -> str:
    if fit.best is None:
        return "-"
    return f"{fit.best.form} (all rejected)" if fit.forms_rejected else fit.best.form
