"""Plain batched greedy decoding with `transformers`, for any causal language model."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import assert_never

import torch
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from icl_gap.errors import InferenceError, PromptError
from icl_gap.models.ending import BROKEN, ended, max_new_tokens
from icl_gap.models.hub import fetch_weights
from icl_gap.models.identity import Identity
from icl_gap.models.spec import TransformersSpec, UntrainedSpec
from icl_gap.models.tokenizer import TextTokenizer, load_folder_tokenizer
from icl_gap.models.untrained import build_untrained
from icl_gap.models.weights import count_parameters, load_weights, move_to, pick_device
from icl_gap.records import Completion, ModelInfo, Prompt

_PAD = 0
"""What fills the left of short rows: any id that exists will do, for the mask hides it."""


class HuggingFaceModel:
    """A causal language model and its tokenizer.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer.
        identity: What is known of it already.
        batch_size: How many prompts run at once.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        identity: Identity,
        batch_size: int,
    ) -> None:
        # What the model's files say of decoding (penalties, sampling) must not count.
        model.generation_config = GenerationConfig()
        total, inner = count_parameters(model)
        self.info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=total,
            n_params_non_embedding=inner,
            context_length=identity.context_length,
            trained=identity.trained,
            device=_devices(model),
        )
        self._model = model
        self._tokenizer = tokenizer
        self.batch_size = batch_size

    def complete(
        self, prompts: Iterable[Prompt], *, stop: str, max_new_bytes: int
    ) -> Iterator[Completion]:
        """Decode greedily, a batch at a time; see `icl_gap.models.Model`."""
        todo = iter(prompts)
        while batch := list(islice(todo, self.batch_size)):
            rows = [self._row(prompt, stop, max_new_bytes) for prompt in batch]
            try:
                with torch.inference_mode():
                    self._decode(rows)
            except Exception as error:  # whatever a model, a kernel or a device can do wrong
                ids = ", ".join(prompt.query_id for prompt in batch)
                reason = (str(error).strip().splitlines() or [""])[0]
                raise InferenceError(
                    f"{self.info.name} failed on {ids}: {type(error).__name__}: {reason}"
                ) from error
            yield from (row.completion for row in rows if row.completion is not None)

    def _row(self, prompt: Prompt, stop: str, max_new_bytes: int) -> _Row:
        ids = self._tokenizer.encode_prompt(prompt.text)
        if not ids:
            raise PromptError("an empty prompt, and no BOS to start from", value=prompt.query_id)
        budget = max_new_tokens(stop=stop, max_new_bytes=max_new_bytes)
        context = self.info.context_length
        if context is not None and len(ids) >= context:
            raise PromptError(
                f"the prompt of {prompt.query_id} takes {len(ids)} tokens",
                allowed=f"fewer than {context}, the context of {self.info.name}",
            )
        room = budget if context is None else min(budget, context - len(ids))
        return _Row(ids, room, self._tokenizer, stop, max_new_bytes)

    def _decode(self, rows: Sequence[_Row]) -> None:
        """Run all rows to their ends.

        A row near the end of its context would go over it while longer-lived ones run, so rows run
        together for as many tokens as each has room for, and those still open run on.
        """
        while open_rows := [row for row in rows if row.completion is None]:
            self._run(open_rows, min(row.room for row in open_rows))

    def _run(self, rows: Sequence[_Row], steps: int) -> None:
        histories = [(*row.prompt, *row.new) for row in rows]
        width = max(map(len, histories))
        padded = [[_PAD] * (width - len(ids)) + list(ids) for ids in histories]
        mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in histories]
        device = self._model.device
        self._model.generate(  # type: ignore[operator] # a mix-in that the class types as a tensor
            torch.tensor(padded, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=GenerationConfig(
                do_sample=False, num_beams=1, max_new_tokens=steps, pad_token_id=_PAD
            ),
            stopping_criteria=StoppingCriteriaList([_Feed(rows)]),
        )


@dataclass(slots=True)
class _Row:
    """One prompt on its way to its answer."""

    prompt: tuple[int, ...]
    room: int
    """How many more tokens it may take."""
    tokenizer: TextTokenizer
    stop: str
    max_new_bytes: int
    new: list[int] = field(default_factory=list)
    unread: int = 0
    """No fewer bytes than the answer has, by the lengths of its tokens alone."""
    completion: Completion | None = None

    def take(self, token: int) -> None:
        """Add a token, and note the answer if it ends with it."""
        if token in self.tokenizer.eos:
            self.completion = Completion(self.tokenizer.decode(self.new), "eos")
            return
        self.new.append(token)
        self.room -= 1
        if self._goes_on(token) and self.room:
            return
        text = self.tokenizer.decode(self.new)
        self.unread = len(text.encode(errors="replace"))
        self.completion = ended(text, stop=self.stop, max_new_bytes=self.max_new_bytes)
        if self.completion is None and self.room == 0:
            self.completion = Completion(text, "length")

    def _goes_on(self, token: int) -> bool:
        """Whether the answer cannot end with this token, told without decoding all of it.

        A stop that ends here ends in this token's text, unless its bytes are a part of a character
        or it is a space that the decoder drops from a token by itself; and the answer is no longer
        than its tokens, each with such a space.
        """
        text = self.tokenizer.token_text(token)
        self.unread += len(text.encode(errors="replace")) + 1
        whole = BROKEN not in text
        last = self.stop[-1]
        cannot_stop = last != " " and last not in text
        return whole and cannot_stop and self.unread <= self.max_new_bytes


class _Feed(StoppingCriteria):
    """Hands each open row its new token, and tells `generate` which rows have ended."""

    def __init__(self, rows: Sequence[_Row]) -> None:
        self._rows = rows

    def __deepcopy__(self, memo: object) -> _Feed:
        # `generate` may copy its criteria; the rows must stay the same ones.
        return self

    def __call__(
        self, input_ids: torch.Tensor, scores: object, **kwargs: object
    ) -> torch.BoolTensor:
        del scores, kwargs
        for row, token in zip(self._rows, input_ids[:, -1].tolist(), strict=True):
            if row.completion is None:
                row.take(token)
        done = [row.completion is not None for row in self._rows]
        return torch.tensor(done, device=input_ids.device)  # type: ignore[return-value]


def _devices(model: PreTrainedModel) -> str:
    placed = getattr(model, "hf_device_map", None) or {"": model.device}
    return ", ".join(sorted({str(device) for device in placed.values()}))


def load_huggingface(
    spec: TransformersSpec | UntrainedSpec, identity: Identity
) -> HuggingFaceModel:
    """Load the weights and the tokenizer of a model.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: The model cannot be loaded as asked.
    """
    match spec:
        case TransformersSpec():
            folder = _with_weights(spec, identity)
            tokenizer = load_folder_tokenizer(
                folder, bos=spec.bos, trust_remote_code=spec.trust_remote_code
            )
            model = load_weights(spec, folder)
        case UntrainedSpec():
            model, tokenizer = build_untrained(spec)
            move_to(model, pick_device(None))
        case _:
            assert_never(spec)
    return HuggingFaceModel(model, tokenizer, identity, spec.batch_size)


def _with_weights(spec: TransformersSpec, identity: Identity) -> Path:
    if "commit" in identity.key:
        return fetch_weights(spec.model, identity.key["commit"])
    if identity.folder is None:
        raise ValueError(f"{identity.name} is no model with files")
    return identity.folder
