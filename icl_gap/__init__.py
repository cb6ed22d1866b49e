"""Measure how well language models generalize compositionally in context.

Everything public is here; it is imported when it is first used, so that `import icl_gap` costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icl_gap.analysis import analyze as analyze
    from icl_gap.api import exact_match as exact_match
    from icl_gap.api import exact_match_batch as exact_match_batch
    from icl_gap.api import load_benchmark as load_benchmark
    from icl_gap.config import SweepSpec as SweepSpec
    from icl_gap.config import read_sweep as read_sweep
    from icl_gap.plan import plan_sweep as plan_sweep
    from icl_gap.plots import plot as plot
    from icl_gap.plots import read_recipe as read_recipe
    from icl_gap.records import Benchmark as Benchmark
    from icl_gap.records import Example as Example
    from icl_gap.records import Score as Score
    from icl_gap.run import run_sweep as run_sweep
    from icl_gap.sampling import sample_exemplars as sample_exemplars
    from icl_gap.store import load_results as load_results

_HOME = {
    "Benchmark": "records",
    "Example": "records",
    "Score": "records",
    "SweepSpec": "config",
    "analyze": "analysis",
    "exact_match": "api",
    "exact_match_batch": "api",
    "load_benchmark": "api",
    "load_results": "store",
    "plan_sweep": "plan",
    "plot": "plots",
    "read_recipe": "plots",
    "read_sweep": "config",
    "run_sweep": "run",
    "sample_exemplars": "sampling",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
