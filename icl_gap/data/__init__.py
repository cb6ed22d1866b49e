"""Benchmarks: cards, loaders, fetching, checking.

>>> from icl_gap.data import load, load_card
>>> benchmark = load(load_card("scan"), "mcd1")
>>> len(benchmark.train), len(benchmark.test)
(8365, 1045)
"""

from __future__ import annotations

from icl_gap.data.cards import DatasetCard, SplitSpec, list_cards, load_card
from icl_gap.data.fetch import Fetched, fetch
from icl_gap.data.info import BenchmarkInfo, SideInfo, describe
from icl_gap.data.loading import load, load_world
from icl_gap.data.sums import FileCheck
from icl_gap.data.verify import SplitCheck, Verification, verify

__all__ = [
    "BenchmarkInfo",
    "DatasetCard",
    "Fetched",
    "FileCheck",
    "SideInfo",
    "SplitCheck",
    "SplitSpec",
    "Verification",
    "describe",
    "fetch",
    "list_cards",
    "load",
    "load_card",
    "load_world",
    "verify",
]
