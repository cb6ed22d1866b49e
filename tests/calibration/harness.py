"""Simulated studies put through the estimators, and what is found held against the truth."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from analysis.test_bootstrap import paired, subject
from calibration.simulator import CellTruth, SimulatedStudies, StudyTruth

from icl_gap.analysis import FitSettings, GapFit
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.scaling.fit import fit_gaps

Row = dict[str, Any]
"""A fit beside its truth, as JSON: None where the fit does not say, or the truth is not defined."""

CONFIDENCE = 0.95
MARGIN = 0.1
SKIPPED: Mapping[tuple[str, str], Any] = {
    ("icl_gap.analysis.gaps", "sign_flip_test"): 1.0,
    ("icl_gap.analysis.gaps", "seed_share"): None,
    ("icl_gap.analysis.gaps", "detectable_gap"): None,
}
"""Functions that no measure depends on and that take time, with results in place of theirs."""


@contextmanager
def only_what_is_measured() -> Iterator[None]:
    """Leave out the parts of an analysis that no measure of the calibration depends on."""
    with ExitStack() as stack:
        for (module, name), value in SKIPPED.items():
            if hasattr(sys.modules.get(module), name):
                stack.enter_context(
                    mock.patch(f"{module}.{name}", lambda *_, value=value, **__: value)
                )
        yield


def measure(studies: SimulatedStudies, *, resamples: int, seed: int) -> list[Row]:
    """Analyze each study by itself, and return a row for every fit that it might have.

    Args:
        studies: The studies.
        resamples: Number of resamples of the bootstrap.
        seed: Seed of the first study's bootstrap; the next ones count up.
    """
    rows = []
    with only_what_is_measured():
        for n, (hits, gaps) in enumerate(zip(studies.hits, studies.gaps, strict=True)):
            fits = analyze_study(studies.truth, hits, resamples=resamples, seed=seed + n)
            found = {(fit.shots, fit.query_split): fit for fit in fits}
            for key, truth in truths(studies.truth, gaps).items():
                row = {"study": seed + n, "shots": key[0], "side": key[1], **truth}
                rows.append(row | described(found.get(key), studies.truth, truth))
    return rows


def analyze_study(
    truth: StudyTruth, hits: np.ndarray, *, resamples: int, seed: int
) -> tuple[GapFit, ...]:
    """Estimate the gaps of one study and fit them.

    Args:
        truth: Sizes and cells.
        hits: (C, M, 2, S, Q), ID first.
        resamples: Number of resamples.
        seed: Seed of the bootstrap.
    """
    measured, _ = estimate_gaps(
        list(_blocks(truth, hits.astype(float))),
        resamples=resamples,
        seed=seed,
        confidence=CONFIDENCE,
    )
    return fit_gaps(measured, FitSettings(confidence=CONFIDENCE, margin=MARGIN))[0]


def _blocks(truth: StudyTruth, hits: np.ndarray) -> Iterator[PairedOutcomes]:
    """Yield paired outcomes, those of one setting beside each other."""
    order = sorted(range(len(truth.cells)), key=lambda n: _place(truth.cells[n]))
    for m, size in enumerate(truth.sizes):
        for n in order:
            cell = truth.cells[n]
            of = subject(model=f"m{m}", n_params=round(10**size), shots=cell.shots)
            yield paired(hits[n, m, 0], hits[n, m, 1], of=of, query_split=cell.side)


def _place(cell: CellTruth) -> tuple[int, str]:
    return cell.shots, cell.side


def truths(truth: StudyTruth, gaps: np.ndarray) -> dict[tuple[int, str], Row]:
    """Return the truth of each cell, and of both sides of each number of shots pooled.

    The pooled gap has a line only where both sides have the same accuracies ID.

    Args:
        truth: The study's.
        gaps: (C, M + U): true gaps of this study's models, and of unseen ones.
    """
    a_id = truth.all_a_id()
    by_shots: dict[int, list[int]] = {}
    found: dict[tuple[int, str], Row] = {}
    for n, cell in enumerate(truth.cells):
        found[cell.shots, cell.side] = _truth(truth, cell.slope, truth.scatter, gaps[n])
        by_shots.setdefault(cell.shots, []).append(n)
    for shots, members in by_shots.items():
        if len(members) > 1:
            alike = np.ptp(a_id[members], axis=0).max() == 0
            slope = float(np.mean([truth.cells[n].slope for n in members])) if alike else None
            kept = truth.common + (1 - truth.common) / len(members)
            scatter = truth.scatter * float(np.sqrt(kept)) if alike else None
            pooled = 1 - ((1 - gaps[members]) * a_id[members]).mean(0) / a_id[members].mean(0)
            found[shots, "pooled"] = _truth(truth, slope, scatter, pooled)
    return found


def _truth(truth: StudyTruth, slope: float | None, scatter: float | None, gaps: np.ndarray) -> Row:
    models = len(truth.sizes)
    return {
        "true_slope": slope,
        "true_change": None if slope is None else slope * truth.decades,
        "true_scatter": scatter,
        "true_largest": float(gaps[models - 1]),
        "true_unseen": [float(gap) for gap in gaps[models:]],
    }


def described(fit: GapFit | None, truth: StudyTruth, known: Row) -> Row:
    """Return what a fit says; None for what it does not, or if there is no fit."""
    ends = getattr(fit, "slope_interval", None)
    trend = getattr(fit, "trend", None)
    between = getattr(fit, "between_model_sd", None)
    return {
        "slope": getattr(fit, "slope", None),
        "low": ends and ends[0],
        "high": ends and ends[1],
        "verdict": _said(fit, "verdict"),
        "closed": _said(fit, "closed"),
        "permutation_p": getattr(trend, "permutation_p", None),
        "kendall_p": getattr(trend, "kendall_p", None),
        "between": None if between is None else between.value,
        "between_low": None if between is None else between.low,
        "between_high": None if between is None else between.high,
        "unseen_held": _unseen_held(fit, truth.unseen, known["true_unseen"]),
    }


def _said(fit: GapFit | None, name: str) -> str | None:
    """Return a claim, `withheld` where the fit makes none, None if it has no such attribute."""
    return (getattr(fit, name) or "withheld") if hasattr(fit, name) else None


def _unseen_held(
    fit: GapFit | None, sizes: Sequence[float], gaps: Sequence[float]
) -> list[bool | None]:
    """Return for each unseen model whether its true gap lies in the fit's prediction interval."""
    predict = getattr(fit, "prediction_interval", None)
    held: list[bool | None] = []
    for size, gap in zip(sizes, gaps, strict=True):
        ends = predict and predict(round(10**size))
        held.append(None if ends is None else bool(ends[0] <= gap <= ends[1]))
    return held
