"""Runs of the calibration: chunks of studies in several processes, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
from calibration.harness import Row, measure
from calibration.settings import SimulatedSetting
from calibration.simulator import simulate

from icl_gap import analysis

CHUNK = 50
"""Number of studies in a chunk. Results of chunks do not depend on how many there are."""


@dataclass(frozen=True, slots=True)
class Run:
    """A number of studies in each setting, and the folder that keeps what is found."""

    folder: Path
    studies: int
    resamples: int

    def path(self, setting: SimulatedSetting) -> Path:
        """Return the file of a setting, one line a chunk; other code or truth, other file."""
        told = f"{setting.truth!r} {self.resamples} {CHUNK} {_code()}"
        digest = hashlib.sha256(told.encode()).hexdigest()[:12]
        name = f"{setting.group} {setting.name}".replace(",", "").replace(" ", "-")
        return self.folder / f"{name}-{digest}.jsonl"

    def chunks(self) -> range:
        """Return the numbers of all chunks of a setting."""
        return range(-(-self.studies // CHUNK))

    def finished(self, setting: SimulatedSetting) -> dict[int, list[Row]]:
        """Return the rows of the chunks that are on disk; a line that was cut off is left out."""
        found: dict[int, list[Row]] = {}
        path = self.path(setting)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                kept = json.loads(line)
            except json.JSONDecodeError:
                continue
            if kept["chunk"] in self.chunks():
                found[kept["chunk"]] = kept["rows"]
        return found

    def rows(self, setting: SimulatedSetting) -> list[Row]:
        """Return the rows of all chunks on disk."""
        return [row for _, rows in sorted(self.finished(setting).items()) for row in rows]


@cache
def _code() -> str:
    """Return a digest of the code behind the results, as it was when this process first looked."""
    here = Path(__file__).parent
    paths = [*Path(analysis.__file__).parent.rglob("*.py"), here / "simulator.py"]
    digest = hashlib.sha256()
    for path in (*sorted(paths), here / "harness.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compute(setting: SimulatedSetting, chunk: int, resamples: int) -> list[Row]:
    """Simulate and analyze one chunk of studies.

    Args:
        setting: The setting.
        chunk: Number of the chunk; with the setting's name it decides all draws.
        resamples: Number of resamples of the bootstrap.
    """
    name = crc32(f"{setting.group}, {setting.name}".encode())
    studies = simulate(setting.truth, np.random.default_rng([name, chunk]), CHUNK)
    return measure(studies, resamples=resamples, seed=chunk * CHUNK)


def complete(run: Run, settings: Sequence[SimulatedSetting], workers: int) -> Iterator[str]:
    """Compute what is missing, in parallel, and keep each chunk as it comes.

    Args:
        run: The run.
        settings: Its settings; those with most cells are begun first.
        workers: Number of processes.

    Yields:
        A line whenever a setting is done.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    left: dict[SimulatedSetting, set[int]] = {}
    for setting in sorted(settings, key=_size, reverse=True):
        if missing := set(run.chunks()) - set(run.finished(setting)):
            left[setting] = missing
    with ProcessPoolExecutor(workers) as pool:
        jobs = {
            pool.submit(compute, setting, chunk, run.resamples): (setting, chunk)
            for setting, chunks in left.items()
            for chunk in sorted(chunks)
        }
        for job in as_completed(jobs):
            setting, chunk = jobs[job]
            line = json.dumps({"chunk": chunk, "rows": job.result()})
            with run.path(setting).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            left[setting].discard(chunk)
            if not left[setting]:
                yield f"{setting.group}, {setting.name}"


def _size(setting: SimulatedSetting) -> int:
    return len(setting.truth.cells) * setting.models * setting.truth.queries
