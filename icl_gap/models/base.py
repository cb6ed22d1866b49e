"""The protocol between the package and a model: requests in, responses out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from icl_gap.errors import IclGapError
from icl_gap.schema import ModelInfo, Predictions, Prompt, Response
from icl_gap.text import brief, shots_text

RequestId = tuple[str, str]
"""The key of a request's cell, and the id of its query."""
Outcome = tuple[RequestId, Response | IclGapError]
"""The id of a request, and its response, or the error in its stead."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt of a cell, and what counts as a right response to it."""

    prompt: Prompt
    gold: str
    """The text that follows the prompt in a right response, up to the stop. Empty where the model
    thinks first, so that none is known."""
    stop: str
    """The string at whose first occurrence a response ends; not empty."""
    max_new_bytes: int
    """Responses are cut at this many UTF-8 bytes; no gold text is as long. Those of a chat template
    are cut by tokens alone: as many as such a text takes at most, and `extra_tokens`."""
    can_still_match: Callable[[str], bool] | None = field(default=None, compare=False)
    """Tells of the beginning of a response that has left the gold text whether the response can
    still be right. None if it cannot."""
    likelihood: bool = True
    """Whether the log-likelihood of the gold text is wanted; a verdict alone takes less."""
    rank: int = 0
    """Requests of lower rank are computed first."""
    extra_tokens: int = 0
    """Tokens of a response to a chat template that are allowed for thinking, and for what stands
    around its answer."""
    cell: str = ""
    """The key of its cell."""
    target: str = ""
    """The gold target of its query."""
    coverage: float = 0.0
    """The share of the query's primitives that its exemplars hold, in [0, 1]."""
    matched: bool | None = None
    """Under `ood_matched`, whether its exemplars cover the query as its ID twin's do."""
    tokens: int | None = None
    """The length of the prompt in tokens, BOS included; None where the model has no tokenizer."""
    fits: bool = True
    """False where the prompt does not fit the context and the sweep skips such queries. No backend
    gets such a request."""

    @property
    def id(self) -> RequestId:
        """The key of its cell and the id of its query; no two requests of a sweep share it."""
        return self.cell, self.prompt.query_id

    @property
    def query_id(self) -> str:
        """The id of its query."""
        return self.prompt.query_id

    @property
    def content(self) -> tuple[object, ...]:
        """All that decides the response. Requests with equal content can share one response."""
        following = self.can_still_match is not None
        prompt = self.prompt.text, self.prompt.messages
        limits = self.stop, self.max_new_bytes, self.extra_tokens
        return *prompt, self.gold, *limits, following, self.likelihood

    def __repr__(self) -> str:
        tokens = "tokens not counted" if self.tokens is None else f"{self.tokens:,} tokens"
        return brief("Request", self.query_id, shots_text(self.prompt.shots), tokens)


class Model(Protocol):
    """Anything that responds to requests."""

    @property
    def info(self) -> ModelInfo:
        """Name, size and other facts about the model."""

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests, in the order in which responses are done.

        Args:
            requests: All requests of a job, with distinct ids, those of earlier runs included. In
                low precision a response may depend on what is computed beside it, and that depends
                on these alone.
            predictions: `full` decodes wrong responses to their ends, `verdict` does not.
            wanted: The ids of the requests to respond to; all by default.

        Yields:
            The id of each wanted request with its response, or with an error where the model
            failed.
        """


@runtime_checkable
class PaidModel(Protocol):
    """A model whose responses may cost money."""

    @property
    def cost(self) -> float:
        """Cost of its requests in dollars, what was spent before it was loaded included."""


def one_by_one(
    requests: Sequence[Request],
    wanted: Collection[RequestId] | None,
    respond: Callable[[Request], Response | IclGapError],
) -> Iterator[Outcome]:
    """Implement `Model.respond` for a model that handles each request by itself.

    Args:
        requests: The requests.
        wanted: The ids of those to respond to; None for all.
        respond: Responds to one request.
    """
    for request in requests:
        if wanted is None or request.id in wanted:
            yield request.id, respond(request)


class Tokenizer(Protocol):
    """Cuts text into a model's tokens."""

    eos: frozenset[int]
    """The ids that end a response."""

    def __call__(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text, without special tokens; the same as `encode`."""

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text, without special tokens."""

    def encode_prompt(self, text: str) -> tuple[int, ...]:
        """Return the ids that the model reads for a prompt: BOS where it is put, then the text."""

    def prompt_length(self, *parts: str) -> int:
        """Return the number of tokens that the model reads for a prompt, BOS included.

        Args:
            *parts: The text of the prompt, whole or in parts. Parts that repeat between calls are
                tokenized once.
        """

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens left out."""

    def can_write(self, text: str) -> bool:
        """Return True if ids without EOS are found that decode to a text.

        White space around the text does not count, as in exact match.
        """
