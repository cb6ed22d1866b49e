"""The requests that calibrate the bound of rounding errors (`precision: adjudicated`)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from icl_gap.models.base import RequestId

CALIBRATING = 16
"""Requests that are run both ways to calibrate the bound."""


def calibrating_ids(ids: Iterable[RequestId]) -> list[RequestId]:
    """Return the ids of the requests of a job that calibrate, chosen by a hash.

    Args:
        ids: The ids of all its requests, in any order.
    """
    order = sorted(ids, key=lambda each: hashlib.blake2b(repr(each).encode()).digest())
    return order[:CALIBRATING]
