"""How long `icl-gap analyze` takes on a large study, and how much memory: `make bench`.

2.2 million requests: 11 models of three families, two benchmarks, both query splits, 5 numbers of
shots, 5 seeds and 1,000 queries, as `icl-gap run` would have left them on disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from icl_gap.results import CellFile, StoreWriter, open_store
from icl_gap.schema import CellInfo, Divergence, Metric, Record

SECONDS, GIGABYTES = 30.0, 3.0
"""The targets."""
QUERIES = [f"scan-{n}" for n in range(1000)]
SIZES = {"opt": (0.35, 1.3, 2.7, 6.7), "bloom": (0.56, 1.7, 3, 7.1), "codegen": (0.35, 2, 6)}
DIVERGENCE = Divergence(11, " JUMP", " WALK", " TURN_LEFT JUMP" * 5)


def cells() -> Iterator[CellInfo]:
    """The study's cells."""
    models = [(family, round(size * 1e9)) for family, sizes in SIZES.items() for size in sizes]
    grid = product(
        models, ("mcd1", "length"), ("test", "train"), ("id", "ood"), (1, 2, 5, 8, 10), range(5)
    )
    for number, ((family, size), split, queries, condition, shots, seed) in enumerate(grid):
        yield CellInfo(
            key=f"{number:016x}" + "0" * 48,
            model=f"{family}-{size}",
            family=family,
            n_params=size,
            n_params_non_embedding=size * 9 // 10,
            trained=True,
            dataset="scan",
            split=split,
            partial=None,
            query_split=queries,
            condition=condition,
            shots=shots,
            seed=seed,
            n_queries=len(QUERIES),
            spec={"sampler": {"selection": "oracle_coverage"}},
        )


def fill(
    folder: Path, info: CellInfo, rng: np.random.Generator, queries: Sequence[str] = QUERIES
) -> None:
    """Write a cell's records, whose answers are right by chance."""
    shown = tuple(f"scan-{n}" for n in range(info.shots))
    right = Record(
        query_id="",
        exemplar_ids=shown,
        shots=info.shots,
        coverage=0.875,
        prompt_sha256="0" * 64,
        prompt_tokens=456,
        status="scored",
        prediction=" TURN_LEFT JUMP" * 8,
        finish_reason="stop",
        scores={"raw": True, "canonical": True},
        gold_tokens=16,
        seconds=0.001234,
    )
    missed: dict[Metric, bool] = {"raw": False, "canonical": False}
    wrong = replace(right, prediction=None, scores=missed, divergence=DIVERGENCE)
    chance = 0.6 if info.condition == "id" else 0.4
    hits, logprobs = rng.random(len(queries)) < chance, rng.normal(-2, 0.5, len(queries)).round(4)
    with StoreWriter(folder, [CellFile(info, queries)]) as writer:
        for query, hit, logprob in zip(queries, hits, logprobs, strict=True):
            drawn = replace(right if hit else wrong, query_id=query, gold_logprob=float(logprob))
            writer.append(info.key, drawn)


def main() -> int:
    """Write the study, analyze it in a process of its own, and say whether the targets are met."""
    with tempfile.TemporaryDirectory() as place:
        folder, infos, rng = Path(place), list(cells()), np.random.default_rng(0)
        with open_store(folder, {"name": "large"}, infos):
            for info in infos:
                fill(folder, info, rng)
        command = [sys.executable, "-m", "icl_gap.cli", "analyze", place, "--json"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    requests = len(infos) * len(QUERIES)
    print(
        f"analyze of {requests:,} requests: {seconds:.1f} s (target {SECONDS:.0f}), "
        f"{gigabytes:.2f} GB (target {GIGABYTES:.0f})"
    )
    return int(seconds > SECONDS or gigabytes > GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
