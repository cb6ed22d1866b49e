"""The table of metrics."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, Score


def test_every_metric_has_texts_and_an_outcome() -> None:
    assert tuple(METRICS) == get_args(Metric)
    assert set(METRICS) == {field.name for field in fields(Score)} - {"reason"}


def test_an_unknown_outcome_is_left_out() -> None:
    assert Score(raw=False, canonical=True).outcomes == {"raw": False, "canonical": True}
    executed = Score(raw=False, canonical=False, execution=True)
    assert executed.outcomes == {"raw": False, "canonical": False, "execution": True}
