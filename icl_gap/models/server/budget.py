"""Limits on the number and the cost of requests to a server."""

from __future__ import annotations

from icl_gap.errors import InferenceError
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_MOST_TOKENS = 10**9
"""Bound on the tokens of a request, whatever a server claims."""


class SpentError(InferenceError):
    """A limit is reached, and no more requests may be sent."""


class Budget:
    """Number of a run's requests to a server, and their cost, on top of that of earlier runs.

    Every attempt counts, as it is sent. Its cost is known when the response arrives, so requests in
    flight, `concurrency` at most, may exceed `max_cost`.

    Args:
        spec: The model, with its limits.
    """

    def __init__(self, spec: OpenAISpec) -> None:
        self.requests = 0
        self.cost = spec.spent
        """Cost in dollars, that of earlier runs included."""
        self._spec = spec

    def take(self) -> None:
        """Count a request that is about to be sent.

        Raises:
            SpentError: A limit is reached.
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
        """Add the cost of a response, which is never negative.

        Args:
            usage: Tokens of the request and its response.
        """
        price = self._spec.price
        if price is not None:
            prompt, completion = (
                min(max(0, tokens), _MOST_TOKENS)
                for tokens in (usage.prompt_tokens, usage.completion_tokens)
            )
            self.cost += price.dollars(prompt, completion)
