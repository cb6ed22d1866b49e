"""Asking a model, for tests of whatever answers."""

from __future__ import annotations

from collections.abc import Iterable

from icl_gap.errors import IclGapError
from icl_gap.models import Model, Question
from icl_gap.schema import Answer, Completion, Prompt


def ask(
    model: Model, prompts: Iterable[Prompt], *, stop: str = "\n", max_new_bytes: int = 9
) -> list[Answer | IclGapError]:
    """What a model makes of each prompt, in order, its answers whole."""
    questions = [Question(prompt, "", stop, max_new_bytes) for prompt in prompts]
    outcomes = dict(model.answers(questions, predictions="full"))
    return [outcomes[place] for place in range(len(questions))]


def complete(
    model: Model, prompts: Iterable[Prompt], *, stop: str = "\n", max_new_bytes: int = 9
) -> list[Completion]:
    """A model's answer to each prompt, in order; none may fail."""
    completions = []
    for outcome in ask(model, prompts, stop=stop, max_new_bytes=max_new_bytes):
        assert isinstance(outcome, Answer), outcome
        assert outcome.completion is not None
        completions.append(outcome.completion)
    return completions
