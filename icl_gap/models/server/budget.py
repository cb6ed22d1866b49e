"""How much may be asked of a server: guards against a bill that nobody wanted."""

from __future__ import annotations

from icl_gap.errors import InferenceError
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_PER_TOKENS = 1_000_000
"""Prices are for so many tokens."""
_MOST_TOKENS = 10**9
"""More than a request can take; a server that claims more makes the sum no better."""


class SpentError(InferenceError):
    """A guard says that nothing more may be sent."""


class Budget:
    """What was sent to a server and what it cost, over all of a run.

    Requests are counted as they are sent, every try for itself. What one costs is known when its
    answer is there, so the requests that are then under way, `concurrency` at most, may go beyond
    `max_cost`.

    Args:
        spec: The model, with its guards.
    """

    def __init__(self, spec: OpenAISpec) -> None:
        self.requests = 0
        self.cost = 0.0
        """In dollars."""
        self._spec = spec

    def take(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            SpentError: It may not be.
        """
        most, dearest = self._spec.max_requests, self._spec.max_cost
        if most is not None and self.requests >= most:
            raise SpentError(f"not sent: max_requests ({most}) is reached")
        if dearest is not None and self.cost >= dearest:
            raise SpentError(
                f"not sent: max_cost (${dearest:g}) is reached: ${self.cost:.4f} are spent"
            )
        self.requests += 1

    def pay(self, usage: Usage) -> None:
        """Add what an answer cost, which is never less than nothing.

        Args:
            usage: Its tokens.
        """
        price = self._spec.price
        if price is not None:
            prompt, completion = (
                min(max(0, tokens), _MOST_TOKENS)
                for tokens in (usage.prompt_tokens, usage.completion_tokens)
            )
            self.cost += (prompt * price.prompt + completion * price.completion) / _PER_TOKENS
