"""What the rest of the package asks of a model and of its tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from icl_gap.records import Completion, ModelInfo, Prompt


class Model(Protocol):
    """Anything that completes prompts."""

    @property
    def info(self) -> ModelInfo:
        """What is known of it."""

    @property
    def batch_size(self) -> int:
        """How many prompts it answers together."""

    def complete(
        self, prompts: Iterable[Prompt], *, stop: str, max_new_bytes: int
    ) -> Iterator[Completion]:
        """Answer each prompt, in the order given.

        Prompts are taken as they are needed, a batch at a time.

        Args:
            prompts: The prompts.
            stop: The string at whose first occurrence an answer ends; not empty.
            max_new_bytes: An answer longer than this many UTF-8 bytes is cut: no gold target is
                as long.

        Raises:
            PromptError: A prompt leaves no room in the context for an answer.
            InferenceError: The model failed.
        """


class Tokenizer(Protocol):
    """How a model cuts text into tokens."""

    def __call__(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens; the same as `encode`."""

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens."""

    def prompt_length(self, text: str) -> int:
        """How many tokens the model reads for a prompt, BOS included where it is put."""
