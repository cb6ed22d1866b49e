"""Benchmarks: cards, loaders, downloads and checks.

>>> from icl_gap.data import load_split, load_card
>>> benchmark = load_split(load_card("scan"), "mcd1")
>>> len(benchmark.train), len(benchmark.test)
(8365, 1045)
"""

from __future__ import annotations

from icl_gap.data.cards import DatasetCard, SplitSpec, list_cards, load_card
from icl_gap.data.checksums import FileCheck
from icl_gap.data.fetch import Fetched, fetch_benchmark
from icl_gap.data.info import BenchmarkInfo, SideInfo, describe
from icl_gap.data.loading import load_benchmark, load_database, load_split
from icl_gap.data.verify import SplitCheck, Verification, verify_benchmark

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
    "fetch_benchmark",
    "list_cards",
    "load_benchmark",
    "load_card",
    "load_database",
    "load_split",
    "verify_benchmark",
]
