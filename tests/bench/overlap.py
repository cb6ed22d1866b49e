"""How long a GPU waits for its host during a sweep: `make bench`.

A mock device stands for the GPU: each pass sleeps as long as a GPU would compute its tokens, and
then predicts gold targets, part of them wrongly. Tokenizer, trie, decoding, scores and files are
real. The device is idle whenever it does not sleep, from the loaded model to the end of the sweep.
On a busy machine, the time of the host's own CPU says more than the clock.

GeoQuery is left out where `ICL_GAP_DATA` is not set.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import zlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import numpy as np

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Identity, Outcome, RandomInitSpec, Request, RequestId
from icl_gap.models.hf.engine.packing import KVCache
from icl_gap.models.hf.engine.passes import Segment, TokenPredictions
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.random_init import RandomInitBackend
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.registry import BACKENDS
from icl_gap.schema import ModelInfo, Predictions
from icl_gap.specs import check_spec

PASS_TOKENS = 4096
"""Tokens of a pass on a GPU."""
RIGHT = 0.4
"""The share of requests whose gold targets the device predicts whole."""
SPEEDS: dict[str, tuple[int, float | None]] = {"8B": (25_000, 0.03), "1.3B": (120_000, None)}
"""Tokens a second that an H100 computes of a model in half precision, about 40 % of its peak; and
the share of the time that the device may be idle."""


@dataclass
class SleepingDevice:
    """A device that sleeps instead of computing; see `icl_gap.models.hf.engine.passes.Runner`."""

    speed: int
    """Tokens a second."""
    stop: int
    """The token that ends right responses."""
    busy: float = 0.0
    """Seconds slept."""
    began: float | None = None
    """The time at which the model was loaded."""
    began_cpu: float = 0.0
    """CPU time of the thread that drives the device, then."""
    tokens: int = 0
    passes: int = 0
    shares_prefixes: bool = field(default=True, init=False)

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        """Sleep, then predict."""
        del cache
        tokens = sum(each.new for each in segments)
        began = time.perf_counter()
        time.sleep(tokens / self.speed)
        self.busy += time.perf_counter() - began
        self.tokens += tokens
        self.passes += 1
        return [self._predictions(each) for each in segments]

    def _predictions(self, segment: Segment) -> TokenPredictions:
        """Predict the path's own next tokens; some paths are left at a position of their own."""
        kept = segment.logits_to_keep
        following = [*segment.tokens[len(segment.tokens) - kept + 1 :].tolist(), self.stop]
        chance = zlib.crc32(np.ascontiguousarray(segment.tokens).tobytes()) / 2**32
        if chance > RIGHT:
            following[int((chance - RIGHT) / (1 - RIGHT) * kept)] += 1
        return TokenPredictions(following, [-0.5] * (kept - 1))


class SleepingModel:
    """A model on a sleeping device, behind the engine.

    Args:
        device: The device.
        identity: The model's identity.
        tokenizer: Its tokenizer.
        kv_cache_tokens: Tokens whose keys and values are kept at a time.
    """

    def __init__(
        self,
        device: SleepingDevice,
        identity: Identity,
        tokenizer: TextTokenizer,
        kv_cache_tokens: int,
    ) -> None:
        self.info = ModelInfo(identity.name, identity.family, 10**9, 10**9, None, device="sleeping")
        self._engine = Engine(
            name=identity.name,
            runner=device,
            tokenizer=tokenizer,
            context_length=None,
            kv_cache_tokens=kv_cache_tokens,
            pass_tokens=PASS_TOKENS,
        )

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests; see `icl_gap.models.Model`."""
        return self._engine.respond(requests, predictions, wanted)


class SleepingBackend(RandomInitBackend):
    """Models without weights, on one sleeping device."""

    def __init__(self, device: SleepingDevice) -> None:
        self._device = device

    def load(self, spec: RandomInitSpec, identity: Identity) -> SleepingModel:
        """Return the model; the device's time begins now."""
        tokenizer = self.tokenizer(spec, identity)
        (self._device.stop,) = tokenizer.encode("\n")
        self._device.began, self._device.began_cpu = time.perf_counter(), time.thread_time()
        return SleepingModel(self._device, identity, tokenizer, spec.kv_cache_tokens)


def sweep(limit: int) -> SweepSpec:
    """Return a sweep of one model on the benchmarks that are here."""
    data = os.environ.get("ICL_GAP_DATA")
    bpe = {} if data is None else {"tokenizer": str(Path(data) / "tokenizers" / "gpt2")}
    return check_spec(
        {
            "name": "overlap",
            "datasets": ["scan"] if data is None else ["scan", "geoquery"],
            "models": [{"kind": "random_init", **bpe}],
            "shots": [1, 5, 10],
            "seeds": [0, 1],
            "limit": limit,
        },
        SweepSpec,
    )


def idle_share(speed: int, limit: int) -> tuple[SleepingDevice, float, float]:
    """Run the sweep on a sleeping device.

    Args:
        speed: Tokens a second that the device computes.
        limit: Queries of a side.

    Returns:
        The device, the seconds from the loaded model to the end of the sweep, and the
        seconds of these in which the thread that drives the device has computed itself.
    """
    device = SleepingDevice(speed, stop=0)
    backends = {**BACKENDS, "random_init": SleepingBackend(device)}
    with (
        patch("icl_gap.models.registry.BACKENDS", backends),
        tempfile.TemporaryDirectory() as folder,
    ):
        evaluate_sweep(plan_sweep(sweep(limit)), Path(folder) / "results")
        end, end_cpu = time.perf_counter(), time.thread_time()
    assert device.began is not None
    return device, end - device.began, end_cpu - device.began_cpu


def main() -> int:
    """Print the idle share at each speed; the exit code is 1 if one misses its target."""
    limit = int(sys.argv[1]) if sys.argv[1:] else 100
    missed = 0
    for name, (speed, target) in SPEEDS.items():
        device, seconds, host = idle_share(speed, limit)
        idle = 1 - device.busy / seconds
        missed += target is not None and idle >= target
        mark = "      " if target is None else "ok    " if idle < target else "MISSED"
        goal = "no target" if target is None else f"target {target:.0%}"
        print(
            f"{mark} {idle:6.1%} idle ({goal})  a GPU with a model of {name}: {seconds:.1f} s, "
            f"{device.tokens:,} tokens in {device.passes:,} passes, {host:.2f} s of the host's "
            f"CPU between passes ({host / (host + device.busy):.1%})",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
