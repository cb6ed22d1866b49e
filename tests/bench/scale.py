"""What a sweep costs beside its models as it grows, and the paper's grid: `make bench`.

A model that answers at once is asked 10 thousand, 100 thousand and a million requests, each in a
process of its own: time and memory for a request should stay as they are. Then the grid of
`sweeps/paper.yaml` is planned, with small models in place of its own, and taken up with nine tenths
of it done; it needs the published files, and is left out where `ICL_GAP_DATA` is not set.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PER_SECOND = 5_000
"""Requests, from plan to record: the target."""
PLANNED, RESUMED, GIGABYTES = 30.0, 20.0, 1.5
"""The targets for the paper's grid; both times in seconds, start of the interpreter included."""
GRID: dict[str, Any] = {
    "name": "grown",
    "datasets": [{"name": "scan", "split": "mcd1"}],
    "seeds": [0, 1, 2, 3, 4],
    "limit": 500,
}
GROWTH: tuple[tuple[int, tuple[int, ...]], ...] = (
    (1, (5,)),
    (2, (1, 2, 5, 8, 10)),
    (20, (1, 2, 5, 8, 10)),
)
"""How many models, and the numbers of shots."""


def main() -> int:
    """Print all, and say whether the targets are met."""
    missed = 0
    print(f"{'requests':>10} {'seconds':>8} {'a second':>9} {'MB':>6} {'bytes each':>11}")
    base, _ = _measured("nothing")
    for step in range(len(GROWTH)):
        megabytes, (requests, seconds) = _measured("grow", str(step))
        each = (megabytes - base) * 1e6 / requests
        print(
            f"{requests:10,.0f} {seconds:8.1f} {requests / seconds:9,.0f} {megabytes:6.0f} "
            f"{each:11,.0f}",
            flush=True,
        )
        missed += requests / seconds < PER_SECOND
    if "ICL_GAP_DATA" not in os.environ:
        return missed
    with tempfile.TemporaryDirectory() as place:
        for name, most in (("plan", PLANNED), ("fill", None), ("resume", RESUMED)):
            begin = time.perf_counter()
            megabytes, _ = _measured(name, place)
            seconds = time.perf_counter() - begin
            if most is not None:
                print(
                    f"{name} the paper's grid: {seconds:.1f} s (target {most:.0f}), "
                    f"{megabytes / 1e3:.2f} GB (target {GIGABYTES})",
                    flush=True,
                )
                missed += seconds > most or megabytes > GIGABYTES * 1e3
    return missed


def _measured(*arguments: str) -> tuple[float, list[float]]:
    """Peak memory in MB of a process of its own, and the numbers that it prints."""
    command = [sys.executable, __file__, *arguments]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    megabytes, *numbers = map(float, out.split())
    return megabytes, numbers


def _part(name: str, *arguments: str) -> Sequence[float]:
    match name:
        case "nothing":
            import icl_gap.evaluation.runner  # noqa: F401 (what any run takes)

            return ()
        case "grow":
            return _grown(*GROWTH[int(arguments[0])])
        case "plan":
            from icl_gap.evaluation.planning import plan_sweep

            return (len(plan_sweep(_paper()).cells),)
        case "fill":
            return _fill(Path(arguments[0]))
        case "resume":
            return _resume(Path(arguments[0]))
    raise ValueError(name)


def _grown(models: int, shots: Sequence[int]) -> Sequence[float]:
    from icl_gap.evaluation.config import SweepSpec
    from icl_gap.evaluation.runner import evaluate_sweep
    from icl_gap.specs import check_spec

    named = [{"kind": "mock", "name": f"m{n}", "n_params": n + 1} for n in range(models)]
    with tempfile.TemporaryDirectory() as place:
        begin = time.perf_counter()
        sweep = check_spec({**GRID, "models": named, "shots": shots}, SweepSpec)
        results = evaluate_sweep(sweep, place)
        seconds = time.perf_counter() - begin
    return len(results) * GRID["limit"], seconds


def _paper() -> Any:
    """The paper's sweep, its models small and untrained, and all different."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from test_paper import MODELS, with_stand_ins

    from icl_gap.evaluation.config import SweepSpec
    from icl_gap.specs import check_spec

    sweep = with_stand_ins(Path(os.environ["ICL_GAP_DATA"]), MODELS).model_dump(mode="json")
    models = [{**model, "seed": seed} for seed, model in enumerate(sweep["models"])]
    return check_spec({**sweep, "models": models}, SweepSpec)


def _fill(folder: Path) -> Sequence[float]:
    """Write the first nine tenths of the grid, as a run would have left them."""
    from analysis import fill

    from icl_gap.evaluation.planning import outline_sweep
    from icl_gap.results import open_store

    plan = outline_sweep(_paper())
    infos = [cell.info for cell in plan.cells]
    done = plan.cells[: len(plan.cells) * 9 // 10]
    rng = np.random.default_rng(0)
    with open_store(folder, plan.sweep.model_dump(mode="json"), infos):
        for cell in done:
            queries = cell.benchmark.queries[cell.info.query_split]
            fill(folder, cell.info, rng, [query.id for query in queries])
    return ()


def _resume(folder: Path) -> Sequence[float]:
    """Run the sweep up to where a model is loaded."""
    from icl_gap import models
    from icl_gap.evaluation.runner import evaluate_sweep

    class LoadedError(Exception):
        pass

    def load(*_: object) -> models.Model:
        raise LoadedError

    models.load_model = load
    try:
        evaluate_sweep(_paper(), folder)
    except LoadedError:
        return ()
    raise AssertionError("nothing was left to run")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(main())
    numbers = _part(*sys.argv[1:])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, *numbers)
