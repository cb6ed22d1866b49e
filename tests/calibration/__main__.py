"""The calibration of the estimators as a benchmark: `make calibrate`.

Simulated studies of known truth go through the estimators; error rates are printed with their
Monte-Carlo errors and held to the bars of bars.py. What is found is kept, so a run that was stopped
goes on where it was. The exit status is 1 if a bar is missed by more than chance explains.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Before NumPy is loaded: each process has one core.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")


def main() -> int:
    """Run the settings, print the tables, and say whether the bars are met."""
    from calibration.bars import misses
    from calibration.measures import measures
    from calibration.runs import Run, complete
    from calibration.settings import SETTINGS
    from calibration.tables import group_rows, setting_rows

    options = _parser().parse_args()
    settings = [s for s in SETTINGS if options.only in f"{s.group}, {s.name}"]
    run = Run(options.folder, options.studies, options.resamples)
    begin = time.perf_counter()
    for done in complete(run, settings, options.workers):
        print(f"{time.perf_counter() - begin:7.0f} s  {done}", flush=True)
    results = [(setting, measures(run.rows(setting))) for setting in settings]
    print(*setting_rows(results), "", *group_rows(results), "", sep="\n")
    missed = misses(results)
    print(*missed or ["all bars are met"], sep="\n")
    return int(any(miss.certain for miss in missed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m calibration", description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="in each setting")
    parser.add_argument("--only", default="", help="settings whose group and name hold this text")
    parser.add_argument("--resamples", type=int, default=400, help="of each study's bootstrap")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, default=Path("results/calibration"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
