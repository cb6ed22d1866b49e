"""The usual ways to have a model answer: `generate` in batches, and lm-evaluation-harness."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from setting import Setting
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from icl_gap.models import Request
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.stopping import check_stop, max_new_tokens
from icl_gap.schema import Completion

Way = Callable[[Sequence[Request], int], list[Any]]
"""Answers requests, in batches of a size."""

PAD = 0
"""What fills the left of short rows: any id that exists will do, for the mask hides it."""


@dataclass
class Row:
    """One prompt on its way to its answer, which ends where the engine's does."""

    request: Request
    tokenizer: TextTokenizer
    prompt: tuple[int, ...] = ()
    tokens: list[int] = field(default_factory=list)
    """Of the answer, EOS included."""
    completion: Completion | None = None

    def __post_init__(self) -> None:
        self.prompt = self.tokenizer.encode_prompt(self.request.prompt.text)

    @property
    def text(self) -> str:
        """All that was decoded, the stop included."""
        return self.tokenizer.decode(self.tokens)

    @property
    def exact(self) -> bool:
        """Whether the answer is the gold answer."""
        return self.completion.text.strip() == self.request.gold.strip()

    def take(self, token: int) -> bool:
        """Add a token, unless the answer has ended.

        Returns:
            Whether it has ended now.
        """
        if self.completion is None:
            self.tokens.append(token)
            if token in self.tokenizer.eos:
                self.completion = Completion(self.text, "eos")
            else:
                rule = self.request
                self.completion = check_stop(
                    self.text, stop=rule.stop, max_new_bytes=rule.max_new_bytes
                )
        return self.completion is not None


class Feed(StoppingCriteria):
    """Hands each row its new token, and tells `generate` which rows have ended."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __deepcopy__(self, memo: object) -> Feed:
        return self  # `generate` may copy its criteria; the rows must stay the same ones

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        new = input_ids[:, -1].tolist()
        done = [row.take(token) for row, token in zip(self._rows, new, strict=True)]
        return torch.tensor(done, device=input_ids.device)


def generate(
    model: PreTrainedModel, tokenizer: TextTokenizer, requests: Sequence[Request], batch: int
) -> list[Row]:
    """Decode greedily with `generate`, in batches padded on the left, longest prompts first."""
    rows = [Row(request, tokenizer) for request in requests]
    in_order = sorted(rows, key=lambda row: -len(row.prompt))
    for start in range(0, len(rows), batch):
        _generate(model, in_order[start : start + batch])
    return rows


def _generate(model: PreTrainedModel, rows: Sequence[Row]) -> None:
    width = len(rows[0].prompt)
    padded = [[PAD] * (width - len(row.prompt)) + list(row.prompt) for row in rows]
    mask = [[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in rows]
    rule = rows[0].request
    model.generate(
        torch.tensor(padded, device=model.device),
        attention_mask=torch.tensor(mask, device=model.device),
        generation_config=GenerationConfig(
            do_sample=False,
            max_new_tokens=max_new_tokens(stop=rule.stop, max_new_bytes=rule.max_new_bytes),
            pad_token_id=PAD,
            eos_token_id=sorted(rows[0].tokenizer.eos),
        ),
        stopping_criteria=StoppingCriteriaList([Feed(rows)]),
    )
    for row in rows:
        row.completion = row.completion or Completion(row.text, "length")


def harness(model: PreTrainedModel, folder: Path, setting: Setting) -> Way | None:
    """lm-evaluation-harness around a model.

    Args:
        model: The model.
        folder: Where its tokenizer lies, as transformers writes it.
        setting: Tells the longest gold answer.

    Returns:
        What answers requests in batches of a size; None where it is not installed.
    """
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def answer(requests: Sequence[Request], batch: int) -> list[str]:
        lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
        options = {"max_gen_toks": setting.longest, "do_sample": False}
        requests = [
            Instance(
                request_type="generate_until",
                doc={},
                arguments=(each.prompt.text, {**options, "until": [each.stop]}),
                idx=number,
            )
            for number, each in enumerate(requests)
        ]
        return lm.generate_until(requests, disable_tqdm=True)

    return answer


@torch.inference_mode()
def parting(model: PreTrainedModel, row: Row, text: str) -> dict[str, object]:
    """Where an answer leaves another text, and how near the two best tokens are there."""
    written = range(1, len(row.tokens) + 1)
    position = sum(text.startswith(row.tokenizer.decode(row.tokens[:n])) for n in written)
    ids = torch.tensor([[*row.prompt, *row.tokens[:position]]], device=model.device)
    best = model(input_ids=ids, logits_to_keep=1).logits[0, -1].float().topk(2)
    return {
        "query": row.request.prompt.query_id,
        "shots": row.request.prompt.shots,
        "position": position,
        "candidates": [row.tokenizer.token_text(token) for token in best.indices.tolist()],
        "logit_gap": float(best.values[0] - best.values[1]),
    }
