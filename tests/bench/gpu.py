"""The engine beside `generate` on a GPU, in at most 15 minutes: `python tests/bench/gpu.py`.

Random weights in the shapes of OPT-1.3B and Llama 8B. Answers are compared with those of
`generate`; in float16 and bfloat16, verdicts that flip against float32 are counted, too. Each line
is a shape and a type: tokens a second, memory and differences. Without a GPU, tiny shapes run on a
CPU, by FlexAttention too, so that the script is known to work. It needs `ICL_GAP_DATA`, where the
tokenizer lies.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from comparison import differences
from setting import SHAPES, WORKLOADS, Setting, prepare, twin
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    OPTConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from ways import Row, generate

from icl_gap.models.hf.engine import kernels
from icl_gap.models.hf.transformers_model import HuggingFaceModel
from icl_gap.schema import Response

SECONDS = 15 * 60
"""No shape and type begins after three quarters of that."""
VOCABULARY = 50304
"""Holds the tokenizer's."""
BATCH = 16
"""Rows of `generate`."""
KV_CACHE_TOKENS = 32768
COMPARED = ("verdicts", "diverge_at")
"""What is compared with float32, and not written down."""
OUT = Path("results/bench/gpu.json")


@dataclass(frozen=True)
class Case:
    """What is measured on a device."""

    device: str
    queries: int
    configs: dict[str, PreTrainedConfig]
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16, torch.float16)


def opt(hidden: int, layers: int, heads: int) -> OPTConfig:
    """A configuration of OPT's shape."""
    return OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        word_embed_proj_dim=hidden,
        ffn_dim=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
    )


def llama(hidden: int, layers: int, heads: int, kv_heads: int, inner: int) -> LlamaConfig:
    """A configuration of Llama's shape."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=8192,
    )


def case() -> Case:
    """The real shapes on a GPU, tiny ones on a CPU."""
    if torch.cuda.is_available():
        real = {"OPT-1.3B": opt(2048, 24, 32), "Llama-8B": llama(4096, 32, 32, 8, 14336)}
        return Case("cuda", 32, real)
    tiny = {"tiny OPT": opt(64, 2, 2), "tiny Llama": llama(64, 2, 4, 2, 128)}
    return Case("cpu", 1, tiny, (torch.float32, torch.bfloat16))


def flex_on(device: str) -> AbstractContextManager[Any]:
    """Take FlexAttention on a CPU, too, where the engine has a kernel of its own."""
    if device == "cuda":
        return nullcontext()
    return patch.multiple(
        kernels,
        _can_attend_by_slice=lambda *_: False,
        _can_attend_to_trie=lambda *_: True,
    )


def timed(device: str, answer: Any) -> tuple[Any, float, float]:
    """Answers, seconds, and GB of the device's memory at most, weights included."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    found = answer()
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    return found, seconds, torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else 0.0


def measure(plain: PreTrainedModel, setting: Setting, device: str) -> dict[str, Any]:
    """One shape in one type, in both ways."""
    model = HuggingFaceModel(twin(plain), setting.tokenizer, setting.identity, KV_CACHE_TOKENS)
    requests = setting.requests

    def respond(predictions: Any) -> list[Response]:
        found: dict[Any, Any] = dict(model.respond(requests, predictions=predictions))
        return [found[each.id] for each in requests]

    with flex_on(device):
        respond("verdict")  # compiles
        verdicts, seconds, memory = timed(device, lambda: respond("verdict"))
        fulls, full_seconds, _ = timed(device, lambda: respond("full"))
    rows: list[Row]
    rows, usual, usual_memory = timed(
        device, lambda: generate(plain, setting.tokenizer, requests, BATCH)
    )
    written = setting.sizes.written
    return {
        "shares_prefixes": model.info.shares_prefixes,
        "tokens_a_second": {
            "verdict": round(written / seconds),
            "full": round(written / full_seconds),
            "generate": round(written / usual),
        },
        "memory_gb": {"verdict": round(memory, 2), "generate": round(usual_memory, 2)},
        "differences": list(differences(plain, rows, verdicts, fulls)),
        "verdicts": [each.divergence is None for each in verdicts],
        "diverge_at": [
            None if each.divergence is None else each.divergence.text for each in verdicts
        ],
    }


def takes_flex_attention(plain: PreTrainedModel, device: str) -> bool:
    """Whether FlexAttention works for a model's attention, by the engine's own trial."""
    config = plain.config
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", heads)
    size = config.hidden_size // heads
    where = torch.zeros(1, device=device).device
    return kernels._trie_kernel_works(
        where, plain.dtype, (heads, kv_heads), (size, size), biased=False
    )


def reports(data: Path, begin: float) -> Iterator[dict[str, Any]]:
    """Measure all shapes and types that time and memory allow."""
    what = case()
    shape = replace(SHAPES[0], device=what.device)
    setting = prepare(WORKLOADS[0], shape, data, what.queries)
    for name, config in what.configs.items():
        exact: dict[str, Any] | None = None
        for dtype in what.dtypes:
            title = {"shape": name, "dtype": str(dtype).removeprefix("torch.")}
            if time.perf_counter() - begin > 0.75 * SECONDS:
                yield {**title, "left_out": "no time is left"}
                continue
            try:
                torch.manual_seed(0)
                with torch.device(what.device):
                    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
                plain = plain.eval().to(dtype)
                flex = takes_flex_attention(plain, what.device)
                found = measure(plain, setting, what.device)
            except torch.OutOfMemoryError:
                yield {**title, "left_out": "it does not fit the memory"}
                continue
            exact = exact or found
            pairs = list(zip(found["verdicts"], exact["verdicts"], strict=True))
            moved = zip(found["diverge_at"], exact["diverge_at"], strict=True)
            yield {
                **title,
                "flex_attention": flex,
                **{key: value for key, value in found.items() if key not in COMPARED},
                "asked": len(pairs),
                "flips": sum(one != other for one, other in pairs),
                "diverge_elsewhere": sum(one != other for one, other in moved),
            }
            del plain


def main() -> int:
    """Measure; the exit code is 1 if float32 differs from `generate` anywhere."""
    if "ICL_GAP_DATA" not in os.environ:
        print("left out: ICL_GAP_DATA is not set")
        return 0
    begin = time.perf_counter()
    transformers.logging.set_verbosity_error()
    found = []
    for report in reports(Path(os.environ["ICL_GAP_DATA"]) / "tokenizers" / "gpt2", begin):
        print(json.dumps(report, ensure_ascii=False), flush=True)
        found.append(report)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = {"gpu": gpu, "torch": torch.__version__, "transformers": transformers.__version__}
    seconds = round(time.perf_counter() - begin)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine, "seconds": seconds, "reports": found}
    OUT.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{seconds} s in all; figures in {OUT}")
    return int(any(r["dtype"] == "float32" and r.get("differences") for r in found))


if __name__ == "__main__":
    sys.exit(main())
