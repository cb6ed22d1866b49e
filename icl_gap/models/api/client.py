"""One request to a server: sent, and sent again, until it is answered or has failed for good."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI
from tenacity import (
    AsyncRetrying,
    AttemptManager,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
)

from icl_gap.errors import InferenceError
from icl_gap.models.api.answers import BodyError, Served, read_body
from icl_gap.models.api.budget import Budget
from icl_gap.models.spec import ApiSpec
from icl_gap.records import Usage

_PASSING = frozenset({408, 409, 429})
"""Statuses below 500 after which the same request may succeed."""
_CRASH = 500
_DOUBT = 2
"""After so many crashes, the stop of a request may be their cause."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
"""Seconds, of the back-off."""
_LONGEST_REASON = 200
_TALKERS = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")
"""Loggers that tell of each request, some with its headers."""


class RequestError(InferenceError):
    """A request that was not answered.

    Args:
        reason: Why.
        status: What the server said, if it did.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class _PassingError(RequestError):
    """A request that may be answered when it is sent again.

    Args:
        reason: Why it was not.
        status: What the server said, if it did.
        wait: How many seconds the server asks to wait; None where it does not say.
    """

    def __init__(
        self, reason: str, status: int | None = None, *, wait: float | None = None
    ) -> None:
        super().__init__(reason, status)
        self.wait = wait


@dataclass(slots=True)
class Stops:
    """Whether a server can stop where it is told to.

    `transformers serve` answers such requests with status 500 where the model's tokenizer knows
    only whole words. Answers are cut here anyway, so that only what is written behind is lost.
    """

    taken: bool | None = None
    """None as long as that is not known."""

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
            self.taken = "stop" in sent


class Client:
    """Sends requests.

    Args:
        openai: The connection.
        spec: The model.
        key: What must not be told to anybody; None where the server needs no key.
        budget: Counts what is sent.
        stops: What is known of the server.
        dice: Spreads the waits between tries.
    """

    def __init__(
        self,
        openai: AsyncOpenAI,
        spec: ApiSpec,
        key: str | None,
        budget: Budget,
        stops: Stops,
        dice: random.Random,
    ) -> None:
        self._openai = openai
        self._spec = spec
        self._key = key
        self._budget = budget
        self._stops = stops
        self._dice = dice

    async def complete(self, fields: Mapping[str, Any]) -> Served:
        """Send a request until it is answered.

        Args:
            fields: Of the body, the model's name and the temperature left out.

        Raises:
            RequestError: It failed for good, the last time for the reason given.
            SpentError: It may not be sent, or not again.
        """
        began = time.monotonic()
        tries = AsyncRetrying(
            retry=retry_if_exception_type(_PassingError),
            wait=self._wait,
            stop=stop_any(
                stop_after_attempt(self._spec.tries), stop_before_delay(self._spec.deadline)
            ),
            reraise=True,
        )
        sent = crashes = 0
        try:
            async for attempt in tries:
                with attempt:
                    left = self._spec.deadline - (time.monotonic() - began)
                    self._budget.take()
                    sent += 1
                    body = self._stops.fields(fields, crashes)
                    served = await self._try(body, min(left, self._spec.deadline / 2))
                    self._stops.note(fields, body)
                    return served
                crashes += _status(attempt) == _CRASH
        except _PassingError as error:
            seconds = time.monotonic() - began
            more = "" if error.wait is None else f"; it asks to wait {error.wait:.0f} s"
            raise RequestError(
                f"{error}{more} (sent {sent} times in {seconds:.1f} s; "
                f"tries: {self._spec.tries}, deadline: {self._spec.deadline:g} s)",
                error.status,
            ) from None
        raise AssertionError  # tenacity returns or raises

    async def _try(self, fields: Mapping[str, Any], seconds: float) -> Served:
        """Send a request once.

        Args:
            fields: Of the body.
            seconds: How long it may take, its body included.
        """
        try:
            async with asyncio.timeout(seconds):
                raw = await self._openai.completions.with_raw_response.create(
                    model=self._spec.model, temperature=0, **fields
                )
                served = read_body(raw.content)
        except APIStatusError as error:
            raise self._refused(error) from None
        except (APITimeoutError, TimeoutError):
            raise _PassingError(f"no answer within {seconds:.1f} s") from None
        except APIConnectionError as error:
            cause = error.__cause__ or error
            reason = str(cause) or type(cause).__name__
            raise _PassingError(self._told(f"connection: {reason}")) from None
        except BodyError as error:
            raise _PassingError(self._told(f"status 200, but {error}")) from None
        self._budget.pay(served.usage or self._most(fields))
        return served

    def _refused(self, error: APIStatusError) -> RequestError:
        """What an error status of the server means."""
        status = error.status_code
        match status:
            case 401 | 403:
                return RequestError(
                    f"status {status}: the server does not accept the key of the environment "
                    f"variable {self._spec.api_key_env}",
                    status,
                )
            case 404:
                return RequestError(
                    f"status 404: the server knows no model {self._spec.model!r}, or base_url is "
                    "not where its /completions are",
                    status,
                )
        told = self._told(f"status {status}: {_message(error) or 'no reason given'}")
        if status in _PASSING or status >= 500:
            return _PassingError(told, status, wait=retry_after(error.response.headers))
        return RequestError(told, status)

    def _told(self, reason: str) -> str:
        """A reason on one line, short, and without the key."""
        if self._key is not None:
            reason = reason.replace(self._key, "…")
        line = " ".join(reason.split())
        return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"

    def _wait(self, state: RetryCallState) -> float:
        """Seconds until the next try: what the server asks, else exponential with full jitter."""
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, _PassingError) and error.wait is not None:
            return error.wait
        most = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
        return self._dice.uniform(0.0, most)

    def _most(self, fields: Mapping[str, Any]) -> Usage:
        """What a request may have used at most, where the server does not say."""
        return Usage(len(fields["prompt"].encode(errors="replace")), fields["max_tokens"])


def _status(attempt: AttemptManager) -> int | None:
    """What a server said to a try that failed."""
    outcome = attempt.retry_state.outcome
    error = None if outcome is None else outcome.exception()
    return error.status if isinstance(error, RequestError) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a response asks to wait (RFC 9110, section 10.2.3).

    Args:
        headers: Of the response.

    Returns:
        None where it does not say, or not in a way that can be read.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, until - time.time())


def _message(error: APIStatusError) -> str:
    """What the server says of an error, in whichever shape."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        inner = inner.get("message", inner.get("detail", ""))
    return inner if isinstance(inner, str) else ""


@asynccontextmanager
async def connect(
    spec: ApiSpec, key: str | None, budget: Budget, stops: Stops
) -> AsyncIterator[Client]:
    """Open a connection to a server, and close it afterwards.

    Args:
        spec: The model.
        key: For the server; None where it needs none.
        budget: Counts what is sent.
        stops: What is known of the server; grows.
    """
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    async with AsyncOpenAI(
        base_url=spec.base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=spec.deadline,
    ) as openai:
        yield Client(openai, spec, key, budget, stops, random.Random())  # noqa: S311 (no secret)
