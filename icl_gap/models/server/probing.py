"""Probes of a server, when a model is loaded: its endpoint, parameters and log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from icl_gap.errors import InferenceError
from icl_gap.models.server.client import Client
from icl_gap.models.server.failures import RequestError
from icl_gap.models.server.logprobs import FIELDS, Mode, gives_logprobs
from icl_gap.models.server.parameters import Parameters
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import ServerApi

_TEXT = "walk and walk and walk"
_MESSAGE = "Reply with OK and nothing else."
_MOST_TOKENS = 512
"""Most new tokens of the probe of a chat; a model that thinks takes some hundreds."""
_REFUSALS = frozenset({400, 422, *range(500, 600)})
"""Statuses by which servers reject an unknown field, or crash on it."""
_NO_ENDPOINT = frozenset({400, 404, 405, 410, 422, 500, 501})
"""Statuses by which servers reject an endpoint that they, or their models, do not have."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts about a server that are found out once."""

    api: ServerApi
    mode: Mode | None
    """Way in which it gives the log-probabilities of a prompt; None if it does not."""


async def probe_server(client: Client, spec: OpenAISpec, parameters: Parameters) -> ServerFacts:
    """Find out what a server can do, as far as a model's entry leaves it open.

    Args:
        client: The client of the server.
        spec: The model.
        parameters: Parameters of requests, from which those that the server refuses are removed.

    Raises:
        RequestError: The server does not respond, or refuses what the entry asks for.
        InferenceError: The entry asks for what the endpoint does not have.
    """
    api = await _find_api(client, spec, parameters)
    mode: Mode | None = None
    if api == "completions":
        match spec.logprobs:
            case "auto":
                mode = await _find_mode(client)
            case "echo" | "prompt_logprobs":
                mode = spec.logprobs
    elif spec.logprobs in FIELDS:
        raise InferenceError(f"`logprobs: {spec.logprobs}` needs `api: completions`")
    return ServerFacts(api, mode)


def known_facts(spec: OpenAISpec) -> ServerFacts | None:
    """Return the facts about a server that a model's entry states; None if it leaves some open.

    Args:
        spec: The model.
    """
    if spec.api != "completions" or spec.logprobs == "auto":
        return None
    return ServerFacts("completions", None if spec.logprobs == "none" else spec.logprobs)


async def _find_api(client: Client, spec: OpenAISpec, parameters: Parameters) -> ServerApi:
    """Return the endpoint that responds; see `probe_server`."""
    if spec.api == "completions":
        return spec.api
    refusal: RequestError | None = None
    if spec.api == "auto":
        try:
            await _sent(client, {"prompt": _TEXT, "max_tokens": 1}, parameters)
        except RequestError as error:
            if error.status not in _NO_ENDPOINT:
                raise
            refusal = error
        else:
            return "completions"
    most = min(_MOST_TOKENS, spec.max_completion_tokens or _MOST_TOKENS)
    fields = {"messages": [{"role": "user", "content": _MESSAGE}], "max_tokens": most}
    try:
        await _sent(client, fields, parameters)
    except RequestError as error:
        if refusal is None:
            raise
        raise RequestError(
            f"neither endpoint responds: /completions: {refusal}; /chat/completions: {error}",
            error.status,
        ) from None
    return "chat"


async def _sent(client: Client, fields: dict[str, Any], parameters: Parameters) -> None:
    """Send a request, without the parameters that the server refuses."""
    while True:
        try:
            await client.complete(fields)
        except RequestError as error:
            if not parameters.leave_out(error.parameter):
                raise
        else:
            return


async def _find_mode(client: Client) -> Mode | None:
    """Return the first mode in which the server gives log-probabilities of a text, if any."""
    for mode, fields in FIELDS.items():
        try:
            completion = await client.complete({"prompt": _TEXT, "max_tokens": 1, **fields})
        except RequestError as error:
            if error.status not in _REFUSALS:
                raise
            continue
        if gives_logprobs(mode, completion):
            return mode
    return None
