"""What the rest of the package asks of a model and of its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from icl_gap.errors import IclGapError
from icl_gap.schema import Answer, ModelInfo, Predictions, Prompt


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, and what is to be found out of its answer."""

    prompt: Prompt
    gold: str
    """The text that follows the prompt in a right answer, up to its stop."""
    stop: str
    """The string at whose first occurrence an answer ends; not empty."""
    max_new_bytes: int
    """An answer longer than this many UTF-8 bytes is cut: no gold answer is as long."""
    hope: Callable[[str], bool] | None = None
    """Whether an answer that begins with a text, and not as the gold answer does, can still count
    as right; None if it cannot."""
    rank: int = 0
    """Questions of low rank are wanted first."""

    @property
    def key(self) -> tuple[object, ...]:
        """What equal questions have in common: one answer serves them all."""
        rules = (self.stop, self.max_new_bytes, self.hope is None)
        return (self.prompt.text, self.gold, *rules)


Outcome = tuple[int, Answer | IclGapError]
"""Which question, and its answer or why there is none."""


class Model(Protocol):
    """Anything that answers questions."""

    @property
    def info(self) -> ModelInfo:
        """What is known of it."""

    def answers(
        self,
        questions: Sequence[Question],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[int] | None = None,
    ) -> Iterator[Outcome]:
        """Answer questions, each once, in any order, as they are done.

        Args:
            questions: All questions of a run. In low precision an answer may depend on what is
                computed beside it, and that depends on these alone.
            predictions: Whether a wrong answer is followed to its end.
            wanted: The places of those to answer; by default, all.

        Yields:
            Each question's place, and its answer; where the model failed, an error in its stead.
        """


def one_by_one(
    questions: Sequence[Question],
    wanted: Collection[int] | None,
    answer: Callable[[Question], Answer | IclGapError],
) -> Iterator[Outcome]:
    """`Model.answers` of a model that answers each question by itself.

    Args:
        questions: The questions.
        wanted: The places of those to answer; None for all.
        answer: Answers one.
    """
    for place, question in enumerate(questions):
        if wanted is None or place in wanted:
            yield place, answer(question)


class Tokenizer(Protocol):
    """How a model cuts text into tokens."""

    def __call__(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens; the same as `encode`."""

    def encode(self, text: str) -> tuple[int, ...]:
        """The ids of a text, without special tokens."""

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """What the model reads for a prompt: BOS where the policy puts it, then the text."""

    def prompt_length(self, *parts: str) -> int:
        """How many tokens the model reads for a prompt, BOS included where it is put.

        Args:
            *parts: Its text, whole or in parts; parts that come again are counted once.
        """
