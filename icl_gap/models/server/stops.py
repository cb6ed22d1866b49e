"""Support of a server for stop strings, which some lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DOUBT = 2
"""Number of crashes after which the stop string of a request may be the cause."""
_SURE = 3
"""Number of requests that succeed only without stop strings after which it is the cause."""


@dataclass(slots=True)
class Stops:
    """A record of whether a server supports stop strings.

    `transformers serve` responds with status 500 to such requests if the model's tokenizer knows
    only whole words. Responses are cut here anyway, so without stop strings only time is lost.
    """

    supported: bool | None = None
    """None as long as it is not known."""
    without: int = 0
    """Number of requests that succeeded only without stop strings."""

    def fields(self, fields: Mapping[str, Any], failures: int) -> Mapping[str, Any]:
        """Return the fields to send of a request.

        Args:
            fields: Fields of its body.
            failures: Number of responses with status 500 to it.
        """
        without = self.supported is False or (self.supported is None and failures >= _DOUBT)
        return {k: v for k, v in fields.items() if k != "stop"} if without else fields

    def note(self, wanted: Mapping[str, Any], sent: Mapping[str, Any]) -> None:
        """Update the record by a request that succeeded.

        Args:
            wanted: Fields of its body.
            sent: Fields that were sent.
        """
        if "stop" in wanted and self.supported is None:
            self.without += "stop" not in sent
            if "stop" in sent or self.without >= _SURE:
                self.supported = "stop" in sent
