"""Asking a model, for tests of whatever answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from icl_gap.errors import IclGapError
from icl_gap.models import Model, Request
from icl_gap.schema import Completion, Prompt, Response


def ask(
    model: Model, prompts: Iterable[Prompt], *, stop: str = "\n", max_new_bytes: int = 9
) -> list[Response | IclGapError]:
    """What a model makes of each prompt, in order, its answers whole."""
    requests = numbered(Request(prompt, "", stop, max_new_bytes) for prompt in prompts)
    outcomes = dict(model.respond(requests, predictions="full"))
    return [outcomes[request.id] for request in requests]


def numbered(requests: Iterable[Request]) -> list[Request]:
    """The requests, each with an id of its own: its cell is its place."""
    return [replace(request, cell=str(n)) for n, request in enumerate(requests)]


def complete(
    model: Model, prompts: Iterable[Prompt], *, stop: str = "\n", max_new_bytes: int = 9
) -> list[Completion]:
    """A model's answer to each prompt, in order; none may fail."""
    completions = []
    for outcome in ask(model, prompts, stop=stop, max_new_bytes=max_new_bytes):
        assert isinstance(outcome, Response), outcome
        assert outcome.completion is not None
        completions.append(outcome.completion)
    return completions
