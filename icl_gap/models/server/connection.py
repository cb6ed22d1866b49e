"""The connection to a server, and libraries that log nothing of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from openai import AsyncOpenAI

from icl_gap.models.server.budget import Budget
from icl_gap.models.server.client import Client
from icl_gap.models.server.parameters import Parameters
from icl_gap.models.server.stops import Stops
from icl_gap.models.server.transport import BoundedClient
from icl_gap.models.spec import OpenAISpec

_LIBRARIES = ("openai", "httpx2", "httpcore2", "httpx", "httpcore")
"""Libraries that log each request, some with its headers."""


@asynccontextmanager
async def connect(
    spec: OpenAISpec, key: str | None, budget: Budget, stops: Stops, parameters: Parameters
) -> AsyncIterator[Client]:
    """Open a connection to a server, and close it afterwards.

    Args:
        spec: The model.
        key: The API key; None where the server needs none.
        budget: Limits on requests and cost.
        stops: Support of the server for stop strings, which requests update.
        parameters: Parameters of all requests.
    """
    _silence_libraries()
    async with AsyncOpenAI(
        base_url=spec.base_url,
        api_key=key or "none",
        max_retries=0,
        timeout=spec.timeout,
        http_client=BoundedClient(),
    ) as openai:
        yield Client(openai, spec, key, budget=budget, stops=stops, parameters=parameters)


def _silence_libraries() -> None:
    """Keep libraries from logging requests and responses, at any level that the user has set."""
    known = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _LIBRARIES]
    for name in {*_LIBRARIES, *known}:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
