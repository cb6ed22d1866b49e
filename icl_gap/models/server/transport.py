"""HTTP transport: no redirects, and bodies of bounded length."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from openai import DefaultAsyncHttpxClient

MOST_BYTES = 64 * 2**20
"""Most bytes of a decompressed body. 128,000 tokens with log-probabilities take less."""
_BODY_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class RefusedBodyError(Exception):
    """A body is not read to its end.

    Args:
        reason: Reason.
        status: Status of the response.
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class BoundedClient(DefaultAsyncHttpxClient):
    """An HTTP client for untrusted servers.

    Redirects are returned, not followed, so that headers, with the key among them, reach only the
    server that the user names. Bodies, those of errors too, are measured as they are decompressed.

    Args:
        most_bytes: Most bytes of a decompressed body.
        **options: Options of the library's client.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES, **options: Any) -> None:
        super().__init__(**options)
        self._most_bytes = most_bytes

    async def send(self, request: Any, **options: Any) -> Any:
        """Send a request, and read its response within the bounds.

        Raises:
            RefusedBodyError: The body is too long, or compressed more than once.
        """
        options |= {"stream": True, "follow_redirects": False}
        response = await super().send(request, **options)
        try:
            content = await self._read(response)
        finally:
            await response.aclose()
        headers = [pair for pair in response.headers.multi_items() if pair[0] not in _BODY_HEADERS]
        return type(response)(
            response.status_code, headers=headers, content=content, request=response.request
        )

    async def _read(self, response: Any) -> bytes:
        if "," in response.headers.get("content-encoding", ""):
            # A few bytes can keep nested decompressors busy without a byte of output to count.
            raise RefusedBodyError("the body is compressed more than once", response.status_code)
        parts, length = [], 0
        async with aclosing(response.aiter_bytes()) as chunks:
            async for chunk in chunks:
                length += len(chunk)
                if length > self._most_bytes:
                    raise RefusedBodyError(
                        f"the body is longer than {self._most_bytes:,} bytes, and was not read on",
                        response.status_code,
                    )
                parts.append(chunk)
        return b"".join(parts)
