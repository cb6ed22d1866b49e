"""Errors of requests: their reasons, and whether another attempt may succeed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from openai import APIStatusError

from icl_gap.errors import InferenceError
from icl_gap.models.server.api_keys import without_key
from icl_gap.models.server.parameters import REFUSABLE
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage
from icl_gap.text import printable

_PASSING = frozenset({408, 409, 429})
"""Statuses below 500 after which the same request may succeed."""
_REFUSING = frozenset({400, 422})
"""Statuses by which servers refuse a parameter."""
_PARAMETER = re.compile(rf"(?<!\w)({'|'.join(REFUSABLE)})(?!\w)")
_MESSAGES = ("message", "detail", "msg", "error", "title")
"""Keys of a message in the body of an error."""
LONGEST_REASON = 200
"""Most characters of a reason."""
LONGEST_ADVICE = 500
"""Most characters of a reason that ends with advice; foreign parts of it are truncated before."""


class RequestError(InferenceError):
    """A request failed.

    Args:
        reason: Reason of the failure.
        status: Status of the response; None if there was no response.
        usage: Tokens that the server says the request took.
        parameter: Name of the parameter that the server refuses.
    """

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        *,
        usage: Usage | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.usage = usage
        self.parameter = parameter


class PassingError(RequestError):
    """A request failed, and another attempt may succeed.

    Args:
        reason: Reason of the failure.
        status: Status of the response; None if there was no response.
        wait: Seconds that the server asks to wait; None where it asks nothing.
        usage: Tokens that the server says the request took.
    """

    def __init__(
        self,
        reason: str,
        status: int | None = None,
        *,
        wait: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(reason, status, usage=usage)
        self.wait = wait


def status_error(error: APIStatusError, spec: OpenAISpec, key: str | None) -> RequestError:
    """Return the error for a response with an error status.

    Args:
        error: The exception of the library.
        spec: The model.
        key: The API key, which must not be shown.
    """
    status = error.status_code
    message = redacted(_message(error) or "no reason given", key)
    match status:
        case 401 | 403:
            return RequestError(
                f"status {status}: {message}; check the key in the environment variable "
                f"{spec.api_key_env}",
                status,
            )
        case 404:
            return RequestError(
                f"status 404: {message}; check that the server has the model {spec.model!r}, and "
                f"that {_path(error)} is an address of it",
                status,
            )
        case _ if 300 <= status < 400:
            return RequestError(f"status {status}: {_redirect(error, key)}", status)
    reason = redacted(f"status {status}: {message}", key)
    if status in _PASSING or status >= 500:
        return PassingError(reason, status, wait=retry_after(error.response.headers))
    return RequestError(reason, status, parameter=_refused_parameter(error))


def redacted(reason: str, key: str | None, longest: int = LONGEST_REASON) -> str:
    """Return a reason on one line: short, printable, and without the key.

    Args:
        reason: Text of a server or a library.
        key: The API key, which must not be shown.
        longest: Most characters to return.
    """
    line = printable(" ".join(without_key(reason, key).split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _redirect(error: APIStatusError, key: str | None) -> str:
    """Describe a redirect, which would send the key to another server."""
    location = error.response.headers.get("location", "")
    try:
        target = urljoin(str(error.request.url), location)
    except ValueError:
        target = location
    if not location:
        return "the server redirects, without saying where to; redirects are not followed"
    target = redacted(target.removesuffix("/completions").removesuffix("/chat"), key)
    return (
        f"the server redirects to {target}, and redirects are not followed, as the key would go "
        f"there; if you trust it, put it in the model's entry: `base_url: {target}`"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response asks to wait (RFC 9110, section 10.2.3).

    Args:
        headers: Headers of the response.

    Returns:
        The seconds; None where the header is missing or cannot be read.
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
    """Return the server's message of an error; empty if there is none.

    The usual shapes are read (OpenAI's, FastAPI's, plain text); of any other, the body is shown.
    """
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict):
        inner = next((inner[key] for key in _MESSAGES if inner.get(key)), inner)
    if isinstance(inner, str):
        return inner
    return json.dumps(inner, ensure_ascii=False) if inner else ""


def _refused_parameter(error: APIStatusError) -> str | None:
    """Return the parameter that a server refuses: its `param`, or the first in its message."""
    if error.status_code not in _REFUSING:
        return None
    named = error.body.get("param") if isinstance(error.body, dict) else None
    if named in REFUSABLE:
        return str(named)
    found = _PARAMETER.search(_message(error))
    return None if found is None else found[0]


def _path(error: APIStatusError) -> str:
    """Return the path that a request was sent to; an address may hold secrets elsewhere."""
    return redacted(urlsplit(str(error.request.url)).path, None)
