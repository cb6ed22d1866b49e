"""One request to a server: sent, and sent again, until it is answered or has failed for good."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
)

from icl_gap.models.server.api_keys import holds_key
from icl_gap.models.server.budget import Budget
from icl_gap.models.server.failures import (
    LONGEST_ADVICE,
    LONGEST_REASON,
    PassingError,
    RequestError,
    refused,
    told,
)
from icl_gap.models.server.plausible import check_served, most_usage
from icl_gap.models.server.responses import BodyError, Served, read_body
from icl_gap.models.server.stops import Stops
from icl_gap.models.server.transport import BoundedClient, RefusedBodyError
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_OK, _CRASH = 200, 500
_WORKED = (_OK, None)
"""After which a server may have done the work, and bill it: None where it did not say in time."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
"""Seconds, of the back-off."""
_TALKERS = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")
"""Loggers that tell of each request, some with its headers."""


class Client:
    """Sends requests.

    Args:
        openai: The connection.
        spec: The model.
        key: What must not be told to anybody; None where the server needs no key.
        budget: Counts what is sent.
        stops: What is known of the server.
    """

    def __init__(
        self,
        openai: AsyncOpenAI,
        spec: OpenAISpec,
        key: str | None,
        *,
        budget: Budget,
        stops: Stops,
    ) -> None:
        self._openai = openai
        self._spec = spec
        self._key = key
        self._budget = budget
        self._stops = stops
        self._dice = random.Random()  # noqa: S311 (spreads the waits between tries)

    async def complete(self, fields: Mapping[str, Any]) -> Served:
        """Send a request until it is answered.

        Args:
            fields: Of the body, the model's name and the temperature left out.

        Raises:
            RequestError: It failed for good, the last time for the reason given.
            SpentError: It may not be sent, or not again.
        """
        spec, sending = self._spec, _Sending(fields)
        tries = AsyncRetrying(
            retry=retry_if_exception_type(PassingError),
            wait=self._wait,
            stop=stop_any(stop_after_attempt(spec.max_attempts), stop_before_delay(spec.timeout)),
            reraise=True,
        )
        try:
            return await tries(self._send, sending)
        except PassingError as error:
            more = "" if error.wait is None else f"; it asks to wait {error.wait:.0f} s"
            raise RequestError(
                f"{error}{more} (sent {sending.sent} times in {sending.seconds:.1f} s; "
                f"max_attempts: {spec.max_attempts}, timeout: {spec.timeout:g} s)",
                error.status,
            ) from None

    async def _send(self, sending: _Sending) -> Served:
        """Send a request once more."""
        self._budget.take()
        sending.sent += 1
        fields = self._stops.fields(sending.fields, sending.crashes)
        deadline = self._spec.timeout
        try:
            served = await self._try(fields, min(deadline - sending.seconds, deadline / 2))
        except RequestError as error:
            sending.crashes += error.status == _CRASH
            if error.status in _WORKED:
                self._budget.pay(error.usage or _most_of(fields))
            raise
        self._budget.pay(served.usage or _most_of(fields))
        self._stops.note(sending.fields, fields)
        return served

    async def _try(self, fields: Mapping[str, Any], seconds: float) -> Served:
        """Send a request, and read its answer.

        Args:
            fields: Of the body.
            seconds: How long it may take, its body included.

        Raises:
            RequestError: It was not answered. It is raised where no other exception is at hand, for
                those of the library hold the request, and with it the key.
        """
        outcome = await self._outcome(fields, seconds)
        if isinstance(outcome, RequestError):
            raise outcome
        return outcome

    async def _outcome(self, fields: Mapping[str, Any], seconds: float) -> Served | RequestError:
        """The answer to a request, or why there is none."""
        try:
            async with asyncio.timeout(seconds):
                raw = await self._openai.completions.with_raw_response.create(
                    model=self._spec.model, temperature=0, **fields
                )
            return self._read(raw.content, fields)
        except APIStatusError as error:
            return refused(error, self._spec, self._key)
        except (APITimeoutError, TimeoutError):
            return PassingError(f"no answer within {seconds:.1f} s")
        except APIConnectionError as error:
            cause = error.__cause__ or error
            reason = str(cause) or type(cause).__name__
            return PassingError(told(f"connection: {reason}", self._key))
        except RefusedBodyError as error:
            return RequestError(f"status {error.status}, but {error}", error.status)
        except BodyError as error:
            kind = RequestError if error.final else PassingError
            longest = LONGEST_ADVICE if error.final else LONGEST_REASON
            reason = told(f"status 200, but {error}", self._key, longest)
            return kind(reason, _OK, usage=error.usage)

    def _read(self, content: bytes, fields: Mapping[str, Any]) -> Served:
        """Read a body, as far as it can be the answer to what was sent.

        Raises:
            BodyError: It cannot be, or gives the key away.
        """
        served = read_body(content)
        if holds_key(content.decode(errors="replace"), self._key):
            raise BodyError(
                f"it repeats the key of the environment variable {self._spec.api_key_env}, so that "
                "it cannot be stored",
                served.usage,
                final=True,
            )
        check_served(served, self._spec, _most_of(fields))
        return served

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next try: what the server asks, else exponential with full jitter."""
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, PassingError) and error.wait is not None:
            return error.wait
        most = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
        return self._dice.uniform(0.0, most)


class _Sending:
    """A request, and what has become of it.

    Args:
        fields: Of its body.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.sent = 0
        self.crashes = 0
        """How often the server has answered with status 500."""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it was first to be sent."""
        return time.monotonic() - self._began


def _most_of(fields: Mapping[str, Any]) -> Usage:
    return most_usage(fields["prompt"], fields["max_tokens"])


@asynccontextmanager
async def connect(
    spec: OpenAISpec, key: str | None, budget: Budget, stops: Stops
) -> AsyncIterator[Client]:
    """Open a connection to a server, and close it afterwards.

    Args:
        spec: The model.
        key: For the server; None where it needs none.
        budget: Counts what is sent.
        stops: What is known of the server; grows.
    """
    _quiet()
    async with AsyncOpenAI(
        base_url=spec.base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=spec.timeout,
        http_client=BoundedClient(),
    ) as openai:
        yield Client(openai, spec, key, budget=budget, stops=stops)


def _quiet() -> None:
    """Keep the libraries from logging requests and responses, whatever level somebody has set."""
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _TALKERS]
    for name in {*_TALKERS, *known}:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
