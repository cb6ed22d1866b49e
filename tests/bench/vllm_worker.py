"""Answer prompts with vLLM on a CPU. It runs in vLLM's own environment and imports nothing of ours.

    python vllm_worker.py JOB.json ANSWERS.json

A job holds `model` (a folder), `dtype`, `stop`, `max_tokens`, `context` and `works`: token ids of
prompts, by the name of the work. Answers hold, by the same names, the `seconds` that answering
took and the `texts` up to the stop; and `load`, the seconds before.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Load the model and answer all works, one after the other, each with an empty cache."""
    began = time.perf_counter()
    model = LLM(
        model=job["model"],
        dtype=job["dtype"],
        max_model_len=job["context"],
        gpu_memory_utilization=0.6,
        enable_prefix_caching=True,
        **job.get("options", {}),
    )
    greedy = SamplingParams(temperature=0, max_tokens=job["max_tokens"], stop=[job["stop"]])
    first = next(iter(job["works"].values()))
    for _ in range(2):  # the first passes compile
        model.generate([{"prompt_token_ids": ids} for ids in first[:2]], greedy, use_tqdm=False)
    load = time.perf_counter() - began
    return {
        "load": load,
        "works": {name: _timed(model, each, greedy) for name, each in job["works"].items()},
    }


def _timed(model: LLM, prompts: list[list[int]], greedy: SamplingParams) -> dict[str, Any]:
    model.reset_prefix_cache()
    began = time.perf_counter()
    found = model.generate([{"prompt_token_ids": ids} for ids in prompts], greedy, use_tqdm=False)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "texts": [each.outputs[0].text for each in found]}


if __name__ == "__main__":
    answers = answer(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    Path(sys.argv[2]).write_text(json.dumps(answers), encoding="utf-8")
