"""The gap that remains when OOD exemplars cover their queries as ID exemplars do.

The condition `ood_matched` is an experiment: it changes the coverage of OOD exemplars and leaves
the query and the pool as they are. With A_m for its accuracy, all over the same requests,

    ordinary gap = 1 - A_ood / A_id        remaining gap = 1 - A_m / A_id
    share that vanished = 1 - remaining / ordinary = (A_m - A_ood) / (A_id - A_ood)

A request counts if it is answered under all three conditions and its exemplars under `ood_matched`
cover the query as the ID twin's do (`Record.matched`); the others are counted apart. All intervals
come from the same resamples of queries; that of the share is Fieller's (`icl_gap.analysis.ratios`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from icl_gap.analysis.bootstrap import Draws, percentile_interval, resample
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.pairing import PairedOutcomes, Remarks, pair
from icl_gap.analysis.points import MatchedContrast, Setting
from icl_gap.analysis.ratios import ratio
from icl_gap.schema import Condition, Metric, Split
from icl_gap.text import shots_text

if TYPE_CHECKING:
    import pandas as pd

_GROUP = ["model", "dataset", "split", "shots", "query_split"]
_REQUEST = [*_GROUP, "seed", "query_id"]


def matched_contrasts(
    results: pd.DataFrame, metric: Metric, *, resamples: int, seed: int, confidence: float
) -> tuple[tuple[MatchedContrast, ...], Remarks]:
    """Contrast the gaps under `ood` and under `ood_matched`.

    Args:
        results: Frame as returned by `load_results`.
        metric: The match that counts as a hit.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals.

    Returns:
        A contrast for each setting and query split with all three conditions; and remarks on those
        without.
    """
    if not (results["condition"] == "ood_matched").any():
        return (), []
    complete = _complete(results)
    kept = complete[_is_matched(complete)]
    totals = {_key(block): int(block.answered.sum()) for block in _blocks(complete, "ood", metric)}
    ordinary, remaining = (_blocks(kept, name, metric) for name in ("ood", "ood_matched"))
    draws = resample([*ordinary, *remaining], resamples=resamples, seed=seed, confidence=confidence)
    numbers = {
        _key(block): _numbers((block, other), drawn, confidence)
        for block, other, *drawn in zip(
            ordinary, remaining, draws[: len(ordinary)], draws[len(ordinary) :], strict=True
        )
    }
    found = [
        _contrast(key, total, numbers.get(key, _Numbers(because="no request is matched")))
        for key, total in totals.items()
    ]
    return tuple(found), _missing(results, totals)


_Key = tuple[Setting, Split]


def _key(block: PairedOutcomes) -> _Key:
    return block.setting, block.query_split


def _complete(results: pd.DataFrame) -> pd.DataFrame:
    """Return the requests that are answered under all three conditions."""
    scored = results[results["status"] == "scored"]
    conditions = scored["condition"].astype("category").cat.codes
    found = conditions.groupby([scored[name] for name in _REQUEST], observed=True)
    return scored[found.transform("nunique") == len(get_args(Condition))]


def _is_matched(complete: pd.DataFrame) -> NDArray[np.bool_]:
    """Return (R,): True for the requests of queries that are matched under their seed."""
    flags = (complete["matched"].fillna(False) & (complete["condition"] == "ood_matched")).astype(
        int
    )
    found = flags.groupby([complete[name] for name in _REQUEST], observed=True)
    return np.asarray(found.transform("max") > 0)


def _blocks(frame: pd.DataFrame, condition: Condition, metric: Metric) -> list[PairedOutcomes]:
    """Return the pairs of ID requests with those under a condition."""
    some = frame[frame["condition"].isin(["id", condition])]
    if some.empty:
        return []
    renamed = some["condition"].astype(str).replace(condition, "ood")
    return pair(some.assign(condition=renamed), metric)[0]


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The estimates of a contrast."""

    n_matched: int = 0
    a_id: Estimate | None = None
    a_ood: Estimate | None = None
    a_matched: Estimate | None = None
    ordinary: Estimate | None = None
    remaining: Estimate | None = None
    vanished: Estimate | None = None
    because: str | None = None


def _contrast(key: _Key, total: int, numbers: _Numbers) -> MatchedContrast:
    setting, query_split = key
    return MatchedContrast(
        **asdict(setting),
        query_split=query_split,
        n_unmatched=total - numbers.n_matched,
        **{each.name: getattr(numbers, each.name) for each in fields(numbers)},
    )


def _numbers(
    blocks: tuple[PairedOutcomes, PairedOutcomes], draws: Sequence[Draws], confidence: float
) -> _Numbers:
    """Return the estimates from pairs of ID with OOD, and of ID with matched OOD requests."""
    n = int(blocks[0].answered.sum())
    a_id, a_ood = (float(hits.sum()) / n for hits in (blocks[0].hits_id, blocks[0].hits_ood))
    a_matched = float(blocks[1].hits_ood.sum()) / n
    drawn = [draws[0].a_id, draws[0].a_ood, draws[1].a_ood]
    inside, outside, matched = (
        Estimate(value, *percentile_interval(each, confidence, worst=(0.0, 1.0)))
        for value, each in zip((a_id, a_ood, a_matched), drawn, strict=True)
    )
    found = _Numbers(n, inside, outside, matched, because="A_id is not resolved from 0")
    if inside.low <= 0:
        return found
    some_right = np.where(drawn[0] > 0, drawn[0], np.nan)
    gaps = [
        Estimate(
            1 - value / a_id,
            *percentile_interval(1 - each / some_right, confidence, worst=(-np.inf, np.inf)),
        )
        for value, each in ((a_ood, drawn[1]), (a_matched, drawn[2]))
    ]
    cov = np.cov([drawn[2] - drawn[1], drawn[0] - drawn[1]])
    vanished = ratio(a_matched - a_ood, a_id - a_ood, cov, confidence) if cov[0, 0] > 0 else None
    because = None if vanished else "the ordinary gap is not resolved from 0"
    if cov[0, 0] == 0:  # an interval without width would feign certainty
        because = "no answer differs between ordinary and matched exemplars"
    ordinary, remaining = gaps
    return replace(
        found, ordinary=ordinary, remaining=remaining, vanished=vanished, because=because
    )


def _missing(results: pd.DataFrame, totals: Mapping[_Key, int]) -> Remarks:
    """Return a remark on each setting whose matched requests have no counterpart."""
    known = {
        (setting.model, setting.dataset, setting.split, setting.shots, query_split)
        for setting, query_split in totals
    }
    text = "no matched contrast: no request was answered under id, ood and ood_matched alike"
    groups = results[results["condition"] == "ood_matched"][_GROUP].drop_duplicates()
    return [
        (text, f"{dataset}/{split} {model}, {shots_text(shots)}, {query_split} queries")
        for model, dataset, split, shots, query_split in groups.itertuples(index=False)
        if (model, dataset, split, shots, query_split) not in known
    ]
