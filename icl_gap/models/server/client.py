"""HTTP client of a server: sends a request, with retries, until it succeeds or fails for good."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    HttpxBinaryResponseContent,
    OpenAIError,
)
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
from icl_gap.models.server.chat_responses import read_chat_body
from icl_gap.models.server.failures import (
    LONGEST_ADVICE,
    LONGEST_REASON,
    PassingError,
    RequestError,
    redacted,
    status_error,
)
from icl_gap.models.server.parameters import Parameters
from icl_gap.models.server.plausible import check_completion, most_usage
from icl_gap.models.server.responses import BodyError, RawCompletion, read_body
from icl_gap.models.server.sglang_native import (
    INFO_PATHS,
    describes_model,
    native_body,
    native_url,
    read_native_body,
)
from icl_gap.models.server.stops import Stops
from icl_gap.models.server.transport import RefusedBodyError
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_OK, _CRASH = 200, 500
_BILLED = (_OK, None)
"""Statuses after which the server may have done the work and bill it; None stands for a timeout."""
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 20.0
"""Bounds of the back-off, in seconds."""


class Client:
    """A client that sends requests, with retries.

    Args:
        openai: The connection.
        spec: The model.
        key: The API key, to keep it out of errors; None where the server needs none.
        budget: Limits on requests and cost.
        stops: Support of the server for stop strings.
        parameters: Parameters of all requests.
    """

    def __init__(
        self,
        openai: AsyncOpenAI,
        spec: OpenAISpec,
        key: str | None,
        *,
        budget: Budget,
        stops: Stops,
        parameters: Parameters,
    ) -> None:
        self._openai = openai
        self._spec = spec
        self._key = key
        self._budget = budget
        self._stops = stops
        self._parameters = parameters
        self._dice = random.Random()  # noqa: S311 (spreads the waits between attempts)

    async def complete(self, fields: Mapping[str, Any]) -> RawCompletion:
        """Send a request until the server responds, without parameters that it refuses.

        Args:
            fields: Its own fields; `Parameters` adds those that all requests have. With `prompt` it
                goes to completions, with `messages` to the chat, with `text` to SGLang's own
                endpoint.

        Raises:
            RequestError: The request failed for good; the reason is that of the last attempt.
            SpentError: A limit does not allow the request, or another attempt.
        """
        while True:
            sent_without = self._parameters.left_out
            try:
                return await self._complete(fields)
            except RequestError as error:
                left_out = self._parameters.leave_out(error.parameter)
                # Another request may have met the same refusal meanwhile.
                meanwhile = error.parameter and self._parameters.left_out != sent_without
                if not (left_out or meanwhile):
                    raise

    async def has_sglang(self) -> bool:
        """Return whether the server has SGLang's own endpoints, as far as it says."""
        for path in INFO_PATHS:
            try:
                async with asyncio.timeout(self._spec.timeout / 2):
                    raw = await self._openai.get(
                        native_url(self._spec, path), cast_to=HttpxBinaryResponseContent
                    )
            except (OpenAIError, RefusedBodyError, TimeoutError):
                continue
            if describes_model(raw.content):
                return True
        return False

    async def _complete(self, fields: Mapping[str, Any]) -> RawCompletion:
        """Implement `complete` for the parameters that are known to be taken."""
        spec, sending = self._spec, _SentRequest(fields)
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(PassingError),
            wait=self._wait,
            stop=stop_any(stop_after_attempt(spec.max_attempts), stop_before_delay(spec.timeout)),
            reraise=True,
        )
        try:
            return await attempts(self._send, sending)
        except PassingError as error:
            more = "" if error.wait is None else f"; it asks to wait {error.wait:.0f} s"
            raise RequestError(
                f"{error}{more} (sent {sending.sent} times in {sending.seconds:.1f} s; "
                f"max_attempts: {spec.max_attempts}, timeout: {spec.timeout:g} s)",
                error.status,
            ) from None

    async def _send(self, sending: _SentRequest) -> RawCompletion:
        """Make an attempt."""
        self._budget.take()
        sending.sent += 1
        fields = self._stops.fields(sending.fields, sending.crashes)
        timeout = self._spec.timeout
        try:
            completion = await self._attempt(fields, min(timeout - sending.seconds, timeout / 2))
        except RequestError as error:
            sending.crashes += error.status == _CRASH
            if error.status in _BILLED:
                self._budget.pay(error.usage or _most_of(fields))
            raise
        self._budget.pay(completion.usage or _most_of(fields))
        self._stops.note(sending.fields, fields)
        return completion

    async def _attempt(self, fields: Mapping[str, Any], seconds: float) -> RawCompletion:
        """Send a request, and read the response.

        Args:
            fields: Fields of the body.
            seconds: Most seconds until the end of the response's body.

        Raises:
            RequestError: The attempt failed. The error is raised outside of any handler, as
                exceptions of the library hold the request, and with it the key.
        """
        outcome = await self._outcome(fields, seconds)
        if isinstance(outcome, RequestError):
            raise outcome
        return outcome

    async def _outcome(
        self, fields: Mapping[str, Any], seconds: float
    ) -> RawCompletion | RequestError:
        """Send a request, and return the response or the error."""
        try:
            async with asyncio.timeout(seconds):
                raw = await self._post(fields)
            return self._read(raw.content, fields)
        except APIStatusError as error:
            return status_error(error, self._spec, self._key)
        except (APITimeoutError, TimeoutError):
            return PassingError(f"no response within {seconds:.1f} s")
        except APIConnectionError as error:
            cause = error.__cause__ or error
            reason = str(cause) or type(cause).__name__
            return PassingError(redacted(f"connection: {reason}", self._key))
        except RefusedBodyError as error:
            return RequestError(f"status {error.status}, but {error}", error.status)
        except BodyError as error:
            kind = RequestError if error.final else PassingError
            longest = LONGEST_ADVICE if error.final else LONGEST_REASON
            reason = redacted(f"status 200, but {error}", self._key, longest)
            return kind(reason, _OK, usage=error.usage)

    async def _post(self, fields: Mapping[str, Any]) -> Any:
        """Send the body to the endpoint that its fields are for, and return the raw response."""
        if "text" in fields:
            return await self._openai.post(
                native_url(self._spec, "/generate"),
                cast_to=HttpxBinaryResponseContent,
                body=native_body(self._spec, fields),
            )
        sent = self._parameters.sent(fields)
        if "messages" in fields:
            return await self._openai.chat.completions.with_raw_response.create(**sent)
        return await self._openai.completions.with_raw_response.create(**sent)

    def _read(self, content: bytes, fields: Mapping[str, Any]) -> RawCompletion:
        """Read a body, and check that it can be a response to the request.

        Raises:
            BodyError: It cannot be one, or it reveals the key.
        """
        completion = _reader(fields)(content)
        if holds_key(content.decode(errors="replace"), self._key):
            raise BodyError(
                f"it repeats the key of the environment variable {self._spec.api_key_env}, so that "
                "it cannot be stored",
                completion.usage,
                final=True,
            )
        check_completion(completion, self._spec, _most_of(fields))
        return completion

    def _wait(self, state: RetryCallState) -> float:
        """Return the seconds to wait: those of Retry-After, else a back-off with full jitter."""
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, PassingError) and error.wait is not None:
            return error.wait
        most = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (state.attempt_number - 1))
        return self._dice.uniform(0.0, most)


class _SentRequest:
    """A request with the state of its attempts.

    Args:
        fields: Fields of its body.
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.sent = 0
        self.crashes = 0
        """Number of responses with status 500."""
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the first attempt."""
        return time.monotonic() - self._began


def _reader(fields: Mapping[str, Any]) -> Callable[[bytes], RawCompletion]:
    """Return the reader of bodies of the endpoint that a request goes to."""
    if "messages" in fields:
        return read_chat_body
    return read_native_body if "text" in fields else read_body


def _most_of(fields: Mapping[str, Any]) -> Usage:
    match fields:
        case {"messages": messages}:
            sent = "".join(each["content"] for each in messages)
        case {"text": sent} | {"prompt": sent}:
            pass
    return most_usage(sent, fields["max_tokens"])
