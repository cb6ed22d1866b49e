"""How fast the engine is beside the usual ways, on one machine with the same weights: `make bench`.

`generate` of transformers and lm-evaluation-harness each run at their best batch size. Models have
OPT's shapes and random weights, once with an output layer fitted so that some answers are right.
What is not at hand is left out: all without `ICL_GAP_DATA`, where the prompts' tokenizer lies; the
harness without `pip install 'icl-gap[bench]'`; the larger shapes without a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import transformers
from comparison import Bench, best_batches, measured
from figures import Figure, Report
from setting import SHAPES, WORKLOADS, Shape, build, fit, prepare, twin
from ways import generate

from icl_gap.models import RandomInitSpec, save_random_init
from icl_gap.models.hf.transformers_model import HuggingFaceModel

MEMORY = 1.5
"""Times the memory of `generate` at batch 8 that the engine may take."""
MEMORY_QUERIES = 16
WEIGHTS = {"fitted": 1, "random": 4}
"""Of the queries, one in so many. Batch sizes are chosen on the first."""
FEW = 4
"""Queries, at least."""
KV_CACHE_TOKENS = RandomInitSpec().kv_cache_tokens


def reports(shape: Shape, data: Path, folder: Path, queries: int) -> Iterator[Report]:
    """Measure one model, with both kinds of weights, on all workloads.

    Args:
        shape: The model's.
        data: The folder of the tokenizer.
        folder: A model with that tokenizer, as transformers writes it.
        queries: How many to ask.
    """
    first = prepare(WORKLOADS[0], shape, data, queries)
    plain = build(shape, folder)
    engine = HuggingFaceModel(twin(plain), first.tokenizer, first.identity, KV_CACHE_TOKENS)
    head = plain.get_output_embeddings().weight.detach()
    random = head.clone()
    for workload in WORKLOADS:
        batches: dict[str, int] = {}
        for weights, part in WEIGHTS.items():
            asked = max(queries // part, min(queries, FEW))
            setting = prepare(workload, shape, data, asked)
            bench = Bench(shape, workload, setting, plain, engine, folder)
            title = f"{shape.name}, {shape.dtype} on {shape.device}, {weights} weights"
            print(f"\n{title}, `{workload.name}`, {asked} queries")
            head.copy_(fit(plain, setting) if weights == "fitted" else random)
            batches = batches or best_batches(bench)
            yield measured(bench, weights, batches)


def memory(data: Path, folder: Path, queries: int, way: str) -> None:
    """Answer the paper's requests in one way, and print the most memory that the process had."""
    shape, paper = SHAPES[0], WORKLOADS[0]
    setting = prepare(paper, shape, data, queries)
    model = build(shape, folder)
    if way == "generate":
        longest = sorted(setting.requests, key=lambda each: -len(each.prompt.text))[:16]
        generate(model, setting.tokenizer, longest, 8)
    else:
        engine = HuggingFaceModel(model, setting.tokenizer, setting.identity, KV_CACHE_TOKENS)
        for _ in engine.respond(setting.requests, predictions=way):
            pass
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def memory_figures(queries: int) -> list[Figure]:
    """Peak memory, each way in a process of its own."""
    took = {}
    for way in ("generate", "verdict", "full"):
        command = [sys.executable, __file__, "--queries", str(queries), "--memory", way]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        took[way] = int(done.stdout.splitlines()[-1])
    return [
        Figure("GB of memory at most: generate, batch 8", took["generate"] / 1e9),
        *(
            Figure(f"times that: engine, {way}", took[way] / took["generate"], MEMORY, most=True)
            for way in ("verdict", "full")
        ),
    ]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    try:
        harness = version("lm_eval")
    except PackageNotFoundError:
        harness = None
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    names = [line for line in lines if "model name" in line]
    return {
        "cpu": names[0].partition(":")[2].strip() if names else None,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "lm_eval": harness,
    }


def run(data: Path, folder: Path, queries: int | None, out: Path) -> int:
    """Measure all, print it and write it down.

    Returns:
        How many figures miss their targets.
    """
    begin = time.perf_counter()
    here = machine()
    print(", ".join(f"{name} {value}" for name, value in here.items()))
    if here["lm_eval"] is None:
        print("left out: lm-evaluation-harness is not installed (`pip install 'icl-gap[bench]'`)")
    few = min(queries or MEMORY_QUERIES, MEMORY_QUERIES)
    peaks = memory_figures(few)  # first: a process starts with the peak of the one that starts it
    print(f"\n{SHAPES[0].name}, memory", *peaks, sep="\n")
    found: list[Report] = []
    for shape in SHAPES:
        if shape.device == "cuda" and here["gpu"] is None:
            print(f"left out: {shape.name} needs a GPU")
            continue
        for report in reports(shape, data, folder, queries or shape.queries):
            print(*report.lines(), sep="\n")
            found.append(report)
    seconds = round(time.perf_counter() - begin)
    written = {
        "machine": here,
        "seconds": seconds,
        "reports": [report.as_json() for report in found],
        "memory": {"queries": few, "figures": [figure.as_json() for figure in peaks]},
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{seconds} s in all; figures in {out}")
    return sum(each.missed for each in (*peaks, *(f for report in found for f in report.figures)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code is 1 if a figure misses its target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--queries", type=int, help="how many to ask (default: 64 on a CPU)")
    parser.add_argument("--out", type=Path, default=Path("results/bench/engine.json"))
    parser.add_argument("--memory", choices=["generate", "verdict", "full"], help="this alone")
    options = parser.parse_args(arguments)
    if "ICL_GAP_DATA" not in os.environ:
        print("left out: the engine beside the usual ways (ICL_GAP_DATA is not set)")
        return 0
    sys.stdout.reconfigure(line_buffering=True)
    torch.set_num_threads(os.cpu_count() or 1)
    transformers.logging.set_verbosity_error()
    data = Path(os.environ["ICL_GAP_DATA"]) / "tokenizers" / "gpt2"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_random_init(RandomInitSpec(tokenizer=data), folder)
        if options.memory:
            memory(data, folder, options.queries or MEMORY_QUERIES, options.memory)
            return 0
        return 1 if run(data, folder, options.queries, options.out) else 0


if __name__ == "__main__":
    sys.exit(main())
