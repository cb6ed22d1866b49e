"""The engine beside vLLM, `generate` and lm-evaluation-harness, with real weights.

`make bench-peers` runs it. SCAN's requests go to Gemma 3 270M and Qwen2.5-Coder 0.5B, which lie in
the folder `ICL_GAP_MODELS`, and to OPT-125M's shape with an output layer fitted so that some
answers are right. Weights, prompts and precision are the peers' own. Only answering is timed: ours
from the loaded model to the last record, the peers' from the loaded and compiled model to the last
text.
vLLM answers all requests; the others share nothing between requests, so a sample of them tells.
`peers.py --only gemma --only full` measures a part.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from comparison import timed
from engine import machine
from peer_rows import COLUMNS, MODELS, ROWS, TABLE, WORKS, Outcome, Row, Subject, Work
from setting import SHAPES, Setting, build, fit, setting_of
from transformers import AutoModelForCausalLM
from vllm_peer import Answered, answer_with_vllm
from ways import generate, harness

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.estimates import compute_costs
from icl_gap.evaluation.planning import Plan, plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import RandomInitSpec, TransformersSpec, measure_footprint, save_random_init
from icl_gap.models.hf.cost import matmul_rate
from icl_gap.progress import no_progress
from icl_gap.specs import check_spec

SAMPLE = 12
"""Requests that `generate` and the harness answer."""
BATCHES = (4, 12)
"""Batch sizes of `generate`; the better one counts, and the harness takes it."""


class Clock:
    """Progress that shows nothing and times each piece of work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, items: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        del total
        began = time.perf_counter()
        yield from items
        self.seconds[description] = time.perf_counter() - began


def plan_of(folder: Path, work: Work, queries: int, options: Mapping[str, Any]) -> Plan:
    """The plan of one model and one kind of sweep; options go where they are keys."""
    own = {key: value for key, value in options.items() if key in TransformersSpec.model_fields}
    model = {"kind": "transformers", "model": str(folder), "name": "subject", **own}
    spec = {
        "name": "peers",
        "datasets": ["scan"],
        "models": [model],
        "selection": work.selection,
        "query_splits": ["test"],
        "conditions": ["id"],
        "seeds": [0],
        "limit": queries * work.share,
        "shots": list(work.shots),
        **{key: value for key, value in options.items() if key in SweepSpec.model_fields},
    }
    return plan_sweep(check_spec(spec, SweepSpec))


def unknown(options: Mapping[str, Any]) -> list[str]:
    """Options that neither sweeps nor models have."""
    known = {*SweepSpec.model_fields, *TransformersSpec.model_fields}
    return [key for key in options if key not in known]


def answer(plan: Plan) -> tuple[float, list[bool]]:
    """Answer a plan's requests; return the seconds that took, and the verdicts in their order."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        results = evaluate_sweep(plan, folder, progress=clock)
        raw = {
            (cell.info.key, record.query_id): record.scores["raw"]
            for cell in results
            for record in cell.records
        }
    gc.collect()
    requests = [request for cell in plan.cells for request in plan.requests(cell)]
    return clock.seconds["subject"], [raw[request.id] for request in requests]


def planned(plan: Plan) -> float:
    """Return the seconds that `icl-gap plan` states for a plan's requests."""
    costs = list(compute_costs(plan, no_progress))
    return sum(cost.seconds for cost in costs if cost.seconds is not None)


def verdicts(setting: Setting, texts: Sequence[str]) -> list[bool]:
    """Whether each text is the gold answer."""
    return [
        text.strip() == each.gold.strip()
        for text, each in zip(texts, setting.requests, strict=True)
    ]


def sampled(
    folder: Path, dtype: str, settings: Mapping[str, Setting]
) -> dict[str, dict[str, float]]:
    """Seconds that `generate` and the harness would take, by work and peer."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    found: dict[str, dict[str, float]] = {}
    for work, setting in settings.items():
        sample = setting.sample(SAMPLE)
        factor = len(setting.requests) / len(sample)
        took = {
            batch: timed(generate, model, setting.tokenizer, sample, batch)[0] for batch in BATCHES
        }
        best = min(took, key=lambda batch: took[batch])
        found[work] = {"generate": took[best] * factor}
        if dtype == "float32" and (way := harness(model, folder, setting)):
            found[work]["harness"] = timed(way, sample, best)[0] * factor
    return found


def outcomes(
    subject: Subject, folder: Path, rows: Sequence[Row], queries: int
) -> Iterator[Outcome]:
    """Measure one model.

    Args:
        subject: The model.
        folder: Its weights.
        rows: What to measure.
        queries: How many to ask.
    """
    baseline = {
        work: plan_of(folder, WORKS[work], queries, {}) for work in {row.work for row in rows}
    }
    settings = {work: setting_of(plan) for work, plan in baseline.items()}
    peers: dict[tuple[str, str], tuple[dict[str, float], Answered]] = {}
    for dtype in sorted({row.dtype for row in rows}):
        asked = {row.work: settings[row.work] for row in rows if row.dtype == dtype}
        texts = answer_with_vllm(folder, dtype, asked)
        slow = sampled(folder, dtype, asked)
        gc.collect()
        for work in asked:
            peers[work, dtype] = {"vLLM": texts[work].seconds, **slow[work]}, texts[work]
    answer(plan_of(folder, WORKS["per-query"], 1, {"predictions": "full"}))  # warms up
    ours = {work: answer(plan) for work, plan in baseline.items()}
    for row in rows:
        times, theirs = peers[row.work, row.dtype]
        setting, exact = settings[row.work], ours[row.work][1]
        plain = not row.options
        plan = plan_of(folder, WORKS[row.work], queries, row.options)
        seconds, found = ours[row.work] if plain else answer(plan)
        judged = verdicts(setting, theirs.texts)
        yield Outcome(
            model=subject.name,
            row=row,
            requests=len(setting.requests),
            planned=planned(plan),
            ours=seconds,
            peers=times,
            unlike=sum(one != other for one, other in zip(found, judged, strict=True)),
            flips=sum(one != other for one, other in zip(found, exact, strict=True)),
            left_out=unknown(row.options),
            rate=rate_share(baseline[row.work], setting, seconds)
            if plain and row.work == "per-query"
            else None,
        )


def rate_share(plan: Plan, setting: Setting, seconds: float) -> float:
    """The share of the rate of a matrix product that answering had."""
    model = plan.cells[0].model
    footprint = measure_footprint(model.spec, model.identity)
    assert footprint is not None
    return footprint.operations(setting.sizes) / seconds / matmul_rate(footprint)


def write_opt(folder: Path, queries: int) -> None:
    """Write a model of OPT-125M's shape, its output layer fitted to the per-query requests."""
    tokenizer = Path(os.environ["ICL_GAP_DATA"]) / "tokenizers" / "gpt2"
    save_random_init(RandomInitSpec(tokenizer=tokenizer), folder)
    plan = plan_of(folder, WORKS["per-query"], queries, {})
    model = build(SHAPES[0], folder)
    with torch.inference_mode():
        model.get_output_embeddings().weight.copy_(fit(model, setting_of(plan)))
    model.save_pretrained(folder)


def folders(chosen: Sequence[Subject], temporary: Path) -> Iterator[tuple[Subject, Path]]:
    """Where the weights of the models lie; those that are not here are left out, and it is said."""
    models = os.environ.get("ICL_GAP_MODELS")
    for subject in chosen:
        if subject.folder is not None:
            folder = Path(models or "", subject.folder)
            if models and folder.is_dir():
                yield subject, folder
            else:
                print(f"left out: {subject.name} ({subject.folder} is not in ICL_GAP_MODELS)")
        elif "ICL_GAP_DATA" in os.environ:
            write_opt(temporary, subject.queries)
            yield subject, temporary
        else:
            print(f"left out: {subject.name} (ICL_GAP_DATA is not set)")


def run(models: Sequence[Subject], rows: Sequence[Row], out: Path) -> int:
    """Measure all, print the table and write it down.

    Returns:
        How many goals are missed.
    """
    began = time.perf_counter()
    here = machine()
    print(", ".join(f"{name} {value}" for name, value in here.items()))
    sizes = ", ".join(f"{each.name} {each.queries}" for each in models)
    print(f"SCAN MCD1, test side, ID; queries: {sizes}; twice as many of a shared set")
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        for subject, folder in folders(models, Path(temporary)):
            found += outcomes(subject, folder, rows, subject.queries)
            print(f"  {subject.name}: done after {time.perf_counter() - began:.0f} s")
    print(TABLE.format(*COLUMNS), *(each.line() for each in found), sep="\n")
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": here, "rows": [each.fields() for each in found]}, indent=1)
    out.write_text(f"{text}\n", encoding="utf-8")
    print(f"{time.perf_counter() - began:.0f} s in all; figures in {out}")
    return sum(len(each.missed) for each in found)


def chosen(only: Sequence[str], queries: int | None) -> tuple[list[Subject], list[Row]]:
    """The models and rows that are named; all of a kind none of which is named."""
    models = [each for each in MODELS if each.name in only] or list(MODELS)
    rows = [each for each in ROWS if each.name in only] or list(ROWS)
    if queries is not None:
        models = [replace(each, queries=queries) for each in models]
    return models, rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit code is 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [each.name for each in (*MODELS, *ROWS)]
    parser.add_argument("--only", action="append", default=[], choices=names, help="repeatable")
    parser.add_argument("--queries", type=int, help="how many to ask each model")
    parser.add_argument("--out", type=Path, default=Path("results/bench/peers.json"))
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)
    torch.set_num_threads(os.cpu_count() or 1)
    transformers.logging.set_verbosity_error()
    models, rows = chosen(options.only, options.queries)
    return 1 if run(models, rows, options.out) else 0


if __name__ == "__main__":
    sys.exit(main())
