"""The engine beside the usual ways: the same requests, one after the other, timed and compared."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from figures import Figure, Report, Timing
from setting import Setting, Shape, Workload
from transformers import PreTrainedModel
from ways import Row, Way, generate, harness, parting

from icl_gap.models import Footprint, Request
from icl_gap.models.hf.checkpoint import count_parameters
from icl_gap.models.hf.engine.passes import Runner
from icl_gap.models.hf.transformers_model import HuggingFaceModel
from icl_gap.models.placement import Placement
from icl_gap.schema import Predictions, Response
from icl_gap.text import REPLACEMENT_CHARACTER

HARNESS = "lm-evaluation-harness"
BATCHES = (1, 4, 8, 16)
SAMPLE = 16
"""Requests on which batch sizes are compared, and on which the harness, which is slow, is timed."""
WORSE = 1.2
"""Once a batch size takes so many times as long as the best, larger ones are not tried."""
RATE = 0.65
"""Of the rate of a matrix product, what `verdict` should reach."""

T = TypeVar("T")


class Counted:
    """A runner that counts what it runs."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.shares_prefixes = runner.shares_prefixes
        self.counts: Counter[str] = Counter()

    def run(self, segments: Sequence, cache: object) -> list:
        self.counts.update(segments=len(segments), tokens=sum(each.new for each in segments))
        return self._runner.run(segments, cache)


@dataclass(frozen=True)
class Bench:
    """A model under both attentions, and what is asked of it."""

    shape: Shape
    workload: Workload
    setting: Setting
    plain: PreTrainedModel
    engine: HuggingFaceModel
    folder: Path
    """Of its tokenizer."""

    def respond(
        self, predictions: Predictions, requests: Sequence[Request]
    ) -> tuple[list[Response], Counter[str]]:
        engine = self.engine._engine
        counted = Counted(engine.runner)
        self.engine._engine = replace(engine, runner=counted)
        found = dict(self.engine.respond(requests, predictions=predictions))
        self.engine._engine = engine
        return [found[request.id] for request in requests], counted.counts

    @property
    def usual(self) -> dict[str, tuple[Way, Sequence[Request]]]:
        """The usual ways, and the requests that each is to answer."""
        setting = self.setting

        def plain(requests: Sequence[Request], batch: int) -> list[Row]:
            return generate(self.plain, setting.tokenizer, requests, batch)

        ways = {"generate": (plain, setting.requests)}
        if other := harness(self.plain, self.folder, setting):
            ways[HARNESS] = (other, setting.sample(SAMPLE))
        return ways

    @property
    def operations(self) -> float:
        """Of the tokens that are left to compute where what is shared is computed once."""
        shape = self.shape
        total, inner = count_parameters(self.plain)
        cost = Footprint(
            n_params=total,
            non_embedding=inner,
            layers=shape.layers,
            width=shape.hidden_size,
            attention_width=shape.hidden_size,
            key_width=shape.hidden_size,
            vocabulary=self.plain.config.vocab_size,
            weights=None,
            kv_cache_tokens=0,
            keys_and_values=0,
            dtype=shape.dtype,
            placement=Placement(),
        )
        return cost.operations(self.setting.sizes)


def timed(call: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    begin = time.perf_counter()
    result = call(*arguments)
    return time.perf_counter() - begin, result


def matmul_rate(shape: Shape) -> float:
    """Floating-point operations a second, in a large square product."""
    size = 2048 if shape.device == "cpu" else 8192
    one = torch.randn(size, size, device=shape.device).to(getattr(torch, shape.dtype))

    def product() -> float:
        return float((one @ one)[0, 0])  # waits for the device

    product()
    return 2 * size**3 / min(timed(product)[0] for _ in range(5))


def best_batches(bench: Bench) -> dict[str, int]:
    """The batch size at which each of the usual ways is fastest."""
    sample = bench.setting.sample(SAMPLE)
    best = {}
    for name, (way, _) in bench.usual.items():
        way(sample[:1], 1)
        took: dict[int, float] = {}
        for batch in BATCHES:
            took[batch], _ = timed(way, sample, batch)
            if took[batch] > WORSE * min(took.values()):
                break
        tried = ", ".join(f"{batch}: {seconds:.1f} s" for batch, seconds in took.items())
        print(f"  {name}, {len(sample)} requests by batch size: {tried}")
        best[name] = min(took, key=lambda batch: took[batch])
    return best


def measured(bench: Bench, weights: str, batches: dict[str, int]) -> Report:
    """Answer a workload's requests in all ways."""
    setting, total = bench.setting, len(bench.setting.requests)
    bench.respond("verdict", setting.sample(1))
    rate = matmul_rate(bench.shape)
    seconds, (verdicts, _) = timed(bench.respond, "verdict", setting.requests)
    verdict = Timing("engine, verdict", seconds, total)
    rate = max(rate, matmul_rate(bench.shape))
    seconds, (fulls, counts) = timed(bench.respond, "full", setting.requests)
    full = Timing("engine, full", seconds, total)
    usual, answered = [], {}
    for name, (way, requests) in bench.usual.items():
        seconds, answers = timed(way, requests, batches[name])
        answered[name] = dict(zip(map(id, requests), answers, strict=True))
        usual.append(Timing(name, seconds, len(requests), batches[name]))
    rows = [answered["generate"][id(request)] for request in setting.requests]
    differing = [
        *differences(bench.plain, rows, verdicts, fulls),
        *harness_differences(bench.plain, rows, answered.get(HARNESS, {})),
    ]
    return Report(
        about={
            "model": bench.shape.name,
            "dtype": bench.shape.dtype,
            "weights": weights,
            "workload": bench.workload.name,
        },
        queries=setting.queries,
        facts=asdict(setting.sizes) | mix(rows, verdicts) | decoding(setting, rows, counts),
        timings=[*usual, full, verdict],
        figures=list(_figures(bench, usual, full, verdict, rate, differing)),
        differences=differing,
    )


def _figures(
    bench: Bench,
    usual: Sequence[Timing],
    full: Timing,
    verdict: Timing,
    rate: float,
    differing: Sequence[dict[str, Any]],
) -> Iterator[Figure]:
    targets = bench.workload
    fastest = min(timing.each for timing in usual)
    share = bench.operations / verdict.seconds / rate
    unlike = Counter(each["predictions"] for each in differing)
    found = (
        Figure("times as fast: verdict", fastest / verdict.each, targets.verdict),
        Figure("times as fast: full", fastest / full.each, targets.full),
        Figure("billion operations a second in a matrix product", rate / 1e9),
        Figure("of that rate: verdict", share, RATE),
        Figure("answers unlike those of generate: verdict", unlike["verdict"], 0, most=True),
        Figure("answers unlike those of generate: full", unlike["full"], 0, most=True),
    )
    yield from found if bench.shape.judged else (replace(each, target=None) for each in found)


def differences(
    model: PreTrainedModel,
    rows: Sequence[Row],
    verdicts: Sequence[Response],
    fulls: Sequence[Response],
) -> Iterator[dict[str, Any]]:
    """Where the engine found something else than `generate`."""
    for row, verdict, full in zip(rows, verdicts, fulls, strict=True):
        left = verdict.divergence
        so_far = row.request.gold + row.request.stop if left is None else left.text
        if row.exact != (left is None) or (left is not None and not row.text.startswith(so_far)):
            yield {"predictions": "verdict", **parting(model, row, so_far)}
        if row.completion != full.completion:
            yield {"predictions": "full", **parting(model, row, full.completion.text)}


def harness_differences(
    model: PreTrainedModel, rows: Sequence[Row], texts: Mapping[int, str]
) -> Iterator[dict[str, Any]]:
    """Where the harness found something else than `generate`, as far as its answers go.

    Args:
        model: The model.
        rows: What `generate` found.
        texts: The harness's answers, by the ids of their requests.
    """
    for row in rows:
        text = texts.get(id(row.request), "").rstrip(REPLACEMENT_CHARACTER)
        # The harness cuts by tokens and not by bytes, so either may be the longer one.
        if not row.text.startswith(text) and not text.startswith(
            row.text.rstrip(REPLACEMENT_CHARACTER)
        ):
            yield {"predictions": HARNESS, **parting(model, row, text)}


def mix(rows: Sequence[Row], verdicts: Sequence[Response]) -> dict[str, int]:
    """How many answers are right, and how soon the others are wrong."""
    left = [each for each in verdicts if each.divergence is not None]
    early = sum(each.divergence.position < each.gold_tokens / 4 for each in left)
    return {
        "exact": sum(row.exact for row in rows),
        "wrong_in_first_quarter": early,
        "wrong_later": len(left) - early,
    }


def decoding(setting: Setting, rows: Sequence[Row], counts: Counter[str]) -> dict[str, float]:
    """How far the engine comes with a pass, once an answer is decoded."""
    written = first = 0
    by_id = {row.request.id: row for row in rows}
    for each in setting.tokenized:
        tokens = by_id[each.request.id].tokens
        agree = [token == gold for token, gold in zip(tokens, each.gold_tokens, strict=False)]
        same = [*agree, False].index(False)
        written += len(tokens)
        first += min(same + 1, len(tokens))
    steps = counts["segments"] - len(setting.tokenized)
    return {
        "answer_tokens": written,
        "of_these_decoded": written - first,
        "drafted_tokens_held_a_step": round((written - first) / steps - 1, 2) if steps else 0.0,
    }
