"""From questions to paths of tokens: the same question asked twice is one path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from icl_gap.errors import PromptError
from icl_gap.models.base import Outcome, Question, Tokenizer
from icl_gap.models.ending import max_new_tokens
from icl_gap.models.hf.engine.trie import Path, Tokens
from icl_gap.schema import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """A question as tokens, for all the places at which it stands."""

    question: Question
    path: Path
    room: int
    """The most tokens that its answer may take."""
    whole: bool
    """Whether the path holds all of the gold answer: it may be too long for the context."""
    places: list[int] = field(default_factory=list)
    """Where it stands among the questions."""

    @property
    def prompt(self) -> Tokens:
        """The tokens of the prompt."""
        return self.path.tokens[: self.path.prompt]

    @property
    def draft(self) -> list[int]:
        """The tokens of the gold answer."""
        return [int(token) for token in self.path.tokens[self.path.prompt :]]


def to_asks(
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    *,
    context_length: int | None,
    predictions: Predictions,
) -> tuple[list[Ask], list[Outcome]]:
    """Cut questions into tokens.

    Args:
        questions: The questions.
        tokenizer: The model's.
        context_length: The model's, in tokens; None where it has no limit.
        predictions: Whether wrong answers are followed to their ends, and so take room.

    Returns:
        What is to be asked, and the questions whose prompts leave no room for an answer.
    """
    asks: dict[object, Ask] = {}
    failures: list[Outcome] = []
    for place, question in enumerate(questions):
        key = question.key
        if key not in asks:
            try:
                asks[key] = _ask(question, tokenizer, context_length, predictions)
            except PromptError as error:
                failures.append((place, error))
                continue
        asks[key].places.append(place)
    return list(asks.values()), failures


def _ask(
    question: Question,
    tokenizer: Tokenizer,
    context_length: int | None,
    predictions: Predictions,
) -> Ask:
    prompt = tokenizer.encode_prompt(question.prompt.text)
    if not prompt:
        raise PromptError(
            "an empty prompt, and no BOS to start from", value=question.prompt.query_id
        )
    room = room_for(question, prompt, context_length)
    draft = gold_tokens(question, tokenizer, prompt)
    follows = predictions == "full" or question.hope is not None
    path = Path(
        tokens=np.array((*prompt, *draft[:room]), np.int32),
        prompt=len(prompt),
        group=_group(question),
        rank=question.rank,
        growth=min(room, len(draft)) if follows else 0,
    )
    return Ask(question, path, room, whole=len(draft) <= room)


def room_for(question: Question, prompt: Sequence[int], context_length: int | None) -> int:
    """The most tokens that an answer may take.

    Args:
        question: What is asked.
        prompt: The tokens of its prompt.
        context_length: The model's, in tokens; None where it has no limit.

    Raises:
        PromptError: There is no room at all.
    """
    most = max_new_tokens(stop=question.stop, max_new_bytes=question.max_new_bytes)
    if context_length is None:
        return most
    if len(prompt) >= context_length:
        raise PromptError(
            f"the prompt of {question.prompt.query_id} takes {len(prompt)} tokens",
            allowed=f"fewer than {context_length}, the model's context",
        )
    return min(most, context_length - len(prompt))


def gold_tokens(question: Question, tokenizer: Tokenizer, prompt: Sequence[int]) -> tuple[int, ...]:
    """The gold answer as the model would most likely write it; nothing where it is blank.

    Args:
        question: Whose gold answer.
        tokenizer: The model's.
        prompt: The tokens of the prompt.
    """
    if not question.gold.strip():
        return ()
    return tokens_behind(question, question.gold, tokenizer, prompt)


def tokens_behind(
    question: Question, text: str, tokenizer: Tokenizer, prompt: Sequence[int]
) -> tuple[int, ...]:
    """A text behind a prompt as the model would most likely write it.

    The two are cut as a whole; where they merge into one token, which an answer cannot have, the
    text is cut by itself.

    Args:
        question: Whose prompt.
        text: What follows it.
        tokenizer: The model's.
        prompt: The tokens of the prompt.
    """
    whole = tokenizer.encode_prompt(question.prompt.text + text)
    return whole[len(prompt) :] if whole[: len(prompt)] == tuple(prompt) else tokenizer.encode(text)


def _group(question: Question) -> str:
    """Prompts that begin with the same exemplar share more than their instruction."""
    exemplars = question.prompt.exemplars
    return exemplars[0].id if exemplars else question.prompt.query_id
