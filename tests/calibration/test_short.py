"""The short form of `make calibrate`: a few settings, and bars widened by chance alone."""

from __future__ import annotations

from itertools import chain

import pytest
from calibration.bars import allowed, held_to
from calibration.measures import measures
from calibration.runs import CHUNK, compute
from calibration.settings import SETTINGS, SimulatedSetting

pytestmark = pytest.mark.slow

CHUNKS, CELLS = 6, 6
"""Chunks of a setting in one cell; one in six cells gets a third of them."""
RESAMPLES = 400
LEVEL = 1e-3


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.short], ids=lambda s: s.name)
def test_error_rates_are_within_their_bars(setting: SimulatedSetting) -> None:
    chunks = CHUNKS // 3 if len(setting.truth.cells) == CELLS else CHUNKS
    rows = chain.from_iterable(compute(setting, n, RESAMPLES) for n in range(chunks))
    found = measures(list(rows))
    assert found["slope held"].studies > 0.9 * chunks * CHUNK
    checked = [each for each in held_to([(setting, found)]) if not each[1].averaged]
    outside = [(bar.measure, at) for _, bar, at in checked if not allowed(bar, at, LEVEL)]
    assert outside == []
