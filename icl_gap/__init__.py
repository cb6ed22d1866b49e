"""Measure how well language models generalize compositionally in context.

Everything public is here; it is imported when it is first used, so that `import icl_gap` costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icl_gap.analysis.analyze import analyze as analyze
    from icl_gap.citation import cite as cite
    from icl_gap.data import load_benchmark as load_benchmark
    from icl_gap.data.resplitting import resplit as resplit
    from icl_gap.diagnosis.diagnose import diagnose as diagnose
    from icl_gap.evaluation.config import SweepSpec as SweepSpec
    from icl_gap.evaluation.config import read_sweep as read_sweep
    from icl_gap.evaluation.planning import plan_sweep as plan_sweep
    from icl_gap.pipeline import run_sweep as run_sweep
    from icl_gap.plots import plot as plot
    from icl_gap.plots import read_recipe as read_recipe
    from icl_gap.progress import no_progress as no_progress
    from icl_gap.progress_bars import show_progress as show_progress
    from icl_gap.report import write_report as write_report
    from icl_gap.results import load_results as load_results
    from icl_gap.results import open_results as open_results
    from icl_gap.sampling import sample_exemplars as sample_exemplars
    from icl_gap.schema import Benchmark as Benchmark
    from icl_gap.schema import Example as Example
    from icl_gap.schema import Score as Score
    from icl_gap.scoring import exact_match as exact_match
    from icl_gap.scoring import exact_match_batch as exact_match_batch

_HOME = {
    "Benchmark": "schema",
    "Example": "schema",
    "Score": "schema",
    "SweepSpec": "evaluation.config",
    "analyze": "analysis",
    "cite": "citation",
    "diagnose": "diagnosis",
    "exact_match": "scoring",
    "exact_match_batch": "scoring",
    "load_benchmark": "data",
    "load_results": "results",
    "no_progress": "progress",
    "open_results": "results",
    "plan_sweep": "evaluation.planning",
    "plot": "plots",
    "read_recipe": "plots",
    "read_sweep": "evaluation.config",
    "resplit": "data.resplitting",
    "run_sweep": "pipeline",
    "sample_exemplars": "sampling",
    "show_progress": "progress_bars",
    "write_report": "report",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
