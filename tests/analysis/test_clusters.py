"""Clusters of queries: resampled whole, in every resample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis.synthetic import cell, sweep
from analysis.test_bootstrap import drawn, paired, random_block, subject

from icl_gap.analysis import analyze, evidence_table
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.sign_flips import sign_flip_p
from icl_gap.errors import AnalysisError, InputError
from icl_gap.results import frame_of
from icl_gap.schema import Condition

MODELS = [("m", "f", 10, True), ("n", "f", 20, True)]


def chance(model: str, _: int, condition: Condition) -> float:
    return {"m": 0.6, "n": 0.8}[model] * (1 if condition == "id" else 0.6)


def clustered_frame(size: int = 4) -> pd.DataFrame:
    """Queries in clusters of so many, by their numbers."""
    frame = frame_of(sweep(MODELS, chance, queries=120))
    number = frame["query_id"].astype(str).str.rpartition("-")[2].astype(int)
    frame["group"] = "g" + (number // size).astype(str)
    return frame


def test_clusters_of_single_queries_change_nothing_but_the_draws() -> None:
    frame = clustered_frame(1)
    alone, grouped = analyze(frame, resamples=2000), analyze(frame, resamples=2000, cluster="group")
    assert grouped.cluster == "group"
    for one, other in zip(alone.points, grouped.points, strict=True):
        assert one.gap is not None
        assert other.gap is not None
        assert one.gap.value == other.gap.value
        assert one.test.p_value == other.test.p_value
        assert other.gap.low == pytest.approx(one.gap.low, abs=0.03)
        assert other.n_clusters == other.n_queries


def test_the_same_queries_in_clusters_are_worth_as_much_as_their_clusters() -> None:
    """Each cluster is one query, four times over: the interval is that of the single queries."""
    rng = np.random.default_rng(0)
    inside, outside = ((rng.random((3, 60)) < p).astype(float) for p in (0.7, 0.5))
    copied = paired(np.repeat(inside, 4, axis=1), np.repeat(outside, 4, axis=1))
    copied = replace(copied, clusters=np.repeat(np.arange(60), 4))
    (one,), (four,) = (
        estimate_gaps([block], resamples=5000, seed=0, confidence=0.95)[0]
        for block in (paired(inside, outside), copied)
    )
    assert one.point.gap is not None
    assert four.point.gap is not None
    assert four.point.gap.low == pytest.approx(one.point.gap.low, abs=0.02)
    assert four.point.gap.high == pytest.approx(one.point.gap.high, abs=0.02)
    assert four.point.test.p_value == pytest.approx(one.point.test.p_value)
    assert four.point.seed_share is not None


def test_sums_by_cluster_are_those_of_pandas() -> None:
    block = replace(random_block(3), clusters=np.array([2, 0, 1, 0, 2, 2, 0]))
    expected = pd.DataFrame(block.hits_id).T.groupby(block.clusters).sum().T
    np.testing.assert_array_equal(block.by_cluster(block.hits_id), expected)


def test_models_on_the_same_queries_share_the_draws_of_clusters() -> None:
    block = replace(random_block(3), clusters=np.array([0, 0, 1, 1, 2, 2, 2]))
    other = replace(block, setting=subject(model="other"))
    one, two = drawn([block, other])
    np.testing.assert_array_equal(one.a_id, two.a_id)
    (alone,) = drawn([other])
    np.testing.assert_array_equal(alone.a_id, two.a_id)


def test_clusters_are_counted_and_few_are_noted() -> None:
    analysis = analyze(clustered_frame(10), resamples=100, cluster="group")
    assert [point.n_clusters for point in analysis.points[:3]] == [12, 12, 24]
    assert evidence_table(analysis)[0]["clusters"] == "12"
    (note,) = (n for n in analysis.notes if n.text.startswith("fewer than 20 clusters"))
    assert note.where[0].startswith("12 in ")


def test_the_order_of_rows_does_not_matter() -> None:
    frame = clustered_frame()
    shuffled = frame.sample(frac=1, random_state=0)
    assert analyze(shuffled, resamples=100, cluster="group") == analyze(
        frame, resamples=100, cluster="group"
    )


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        ("nothing", InputError, "no such field"),
        ("seed", AnalysisError, "is in two clusters"),
        ("dataset", AnalysisError, "all queries are in one cluster"),
        ("holed", AnalysisError, "query `test-3` has no `holed`"),
    ],
)
def test_fields_that_cannot_cluster_are_refused(
    column: str, error: type[Exception], message: str
) -> None:
    frame = clustered_frame()
    frame["holed"] = frame["group"].where(frame["query_id"] != "test-3")
    with pytest.raises(error, match=message):
        analyze(frame, resamples=100, cluster=column)


def test_whole_clusters_are_flipped() -> None:
    cells = [cell("id", [True] * 8), cell("ood", [False] * 8)]
    frame = frame_of(cells)
    frame["group"] = ["a", "a", "b", "b", "c", "c", "d", "d"] * 2
    (point,) = analyze(frame, resamples=100, cluster="group").points
    assert point.test.p_value == pytest.approx(2 / 2**4)
    assert sign_flip_p([np.full(8, 1)], [8]) == pytest.approx(2 / 2**8)


def templates(rng: np.random.Generator) -> tuple[Floats, Floats, np.ndarray]:
    """Queries of 40 templates, on which the loss depends: it is 0.3 on average."""
    of = rng.integers(40, size=200)
    loss = rng.beta(1, 7 / 3, size=40)[of]
    inside = rng.random((2, 200)) < 0.8
    outside = inside & (rng.random((2, 200)) >= loss)
    return inside.astype(float), outside.astype(float), np.unique(of, return_inverse=True)[1]


@pytest.mark.slow
def test_intervals_of_clustered_queries_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    blocks = []
    for n in range(1000):
        inside, outside, of = templates(rng)
        block = paired(inside, outside, of=subject(dataset=f"d{n}"))
        blocks.append((block, replace(block, clusters=of)))
    held = []
    for each in zip(*blocks, strict=True):
        measured, _ = estimate_gaps(each, resamples=1000, seed=0, confidence=0.95)
        gaps = [found.point.gap for found in measured if found.point.gap]
        held.append(np.mean([gap.low <= 0.3 <= gap.high for gap in gaps]))
    print(f"queries alone {held[0]:.1%}, clusters {held[1]:.1%}")
    assert held[0] < 0.9
    assert 0.92 <= held[1] <= 0.97
