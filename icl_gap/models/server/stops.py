"""Servers that cannot stop where they are told to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DOUBT = 2
"""After so many crashes, the stop of a request may be their cause."""
_SURE = 3
"""After so many requests that were answered without their stops alone, it is."""


@dataclass(slots=True)
class Stops:
    """Whether a server can stop where it is told to.

    `transformers serve` answers such requests with status 500 where the model's tokenizer knows
    only whole words. Answers are cut here anyway, so that only what is written behind is lost.
    """

    taken: bool | None = None
    """None as long as that is not known."""
    without: int = 0
    """Requests that were answered without their stops alone."""

    def fields(self, fields: Mapping[str, Any], failures: int) -> Mapping[str, Any]:
        """What to send of a request.

        Args:
            fields: Of its body.
            failures: How often the server has said 500 to it.
        """
        without = self.taken is False or (self.taken is None and failures >= _DOUBT)
        return {k: v for k, v in fields.items() if k != "stop"} if without else fields

    def note(self, wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        """Learn from a request that was answered.

        Args:
            wanted: What was to be sent.
            sent: What was sent.
        """
        if "stop" in wanted and self.taken is None:
            self.without += "stop" not in sent
            if "stop" in sent or self.without >= _SURE:
                self.taken = "stop" in sent
