"""Parameters of requests, some of which a server refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icl_gap.models.spec import OpenAISpec

REFUSABLE = ("temperature", "max_tokens", "max_completion_tokens")
"""Parameters of our own that requests can do without, or with another name."""
_OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


class Parameters:
    """Parameters that all requests to a server have.

    A parameter that the server refuses is found out once, when the model is loaded or later, and is
    left out from then on. The user's own ones (`seed`, `reasoning_effort`, `extra_body`) are never
    left out: their refusal is an error.

    Args:
        spec: The model.
    """

    def __init__(self, spec: OpenAISpec) -> None:
        self._spec = spec
        self._limit = (
            "max_tokens" if spec.max_completion_tokens is None else "max_completion_tokens"
        )
        """Name of the bound on new tokens."""
        self._left_out: list[str] = []

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the parameters that requests are sent without."""
        return tuple(self._left_out)

    def sent(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return all fields of a request as they are sent.

        Args:
            fields: Its own fields, with the bound on new tokens as `max_tokens`.
        """
        spec = self._spec
        own = {name: value for name, value in fields.items() if name != "max_tokens"}
        found: dict[str, Any] = {"model": spec.model, **own}
        bound = {self._limit: fields["max_tokens"]}
        known = self._limit == "max_tokens" or "messages" in fields
        found |= bound if known else {}
        if "temperature" not in self._left_out:
            found["temperature"] = 0
        if spec.seed is not None:
            found["seed"] = spec.seed
        if spec.reasoning_effort is not None and "messages" in fields:
            found["reasoning_effort"] = spec.reasoning_effort
        # The library's completions do not know the bound's other name.
        if extra := {**spec.extra_body, **fields.get("extra_body", {}), **({} if known else bound)}:
            found["extra_body"] = extra
        return found

    def leave_out(self, name: str | None) -> bool:
        """Leave a parameter out that the server has refused.

        Args:
            name: Name in the server's message; None where it names none.

        Returns:
            True if later requests differ from those before.
        """
        if name == "temperature" and name not in self._left_out:
            self._left_out.append(name)
            return True
        if name is not None and name == self._limit and _OTHER_NAME[name] not in self._left_out:
            self._left_out.append(name)
            self._limit = _OTHER_NAME[name]
            return True
        return False
