"""Probes of a server, when a model is loaded: its endpoint, parameters and log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from icl_gap.errors import InferenceError
from icl_gap.models.server.client import Client
from icl_gap.models.server.failures import RequestError
from icl_gap.models.server.logprobs import MODES, Mode
from icl_gap.models.server.order_probe import MOST_CHANGE, probe_order
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import LogprobsSource, ServerApi

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
    """Way in which it gives the log-probabilities of a prompt; None if it gives none, or none that
    can be trusted."""
    changes: Mapping[Mode, float] = field(default_factory=dict)
    """Nats by which log-probabilities depend on the requests before, by ways in which they do."""

    @property
    def source(self) -> LogprobsSource | None:
        """Source of verdicts; None for a chat."""
        if self.api == "chat":
            return None
        return self.mode or ("unstable" if self.changes else "none")


async def probe_server(client: Client, spec: OpenAISpec) -> ServerFacts:
    """Find out what a server can do, as far as a model's entry leaves it open.

    Args:
        client: The client of the server.
        spec: The model.

    Raises:
        RequestError: The server does not respond, or refuses what the entry asks for.
        InferenceError: The entry asks for what the endpoint does not have.
    """
    api = await _find_api(client, spec)
    if api == "chat":
        if spec.logprobs in MODES:
            raise InferenceError(f"`logprobs: {spec.logprobs}` needs `api: completions`")
        return ServerFacts(api, None)
    facts = await _find_mode(client, spec)
    if spec.logprobs in MODES and facts.source == "none":
        raise InferenceError(
            f"`logprobs: {spec.logprobs}`, and the server gives no log-probabilities of a prompt "
            "in this way, or such as no model gives; leave `logprobs` out to decode responses"
        )
    return facts


def known_facts(spec: OpenAISpec) -> ServerFacts | None:
    """Return the facts about a server that a model's entry states; None if it leaves some open.

    Args:
        spec: The model.
    """
    stated = spec.api == "completions" and spec.logprobs == "none"
    return ServerFacts("completions", None) if stated else None


async def _find_api(client: Client, spec: OpenAISpec) -> ServerApi:
    """Return the endpoint that responds; see `probe_server`."""
    if spec.api == "completions":
        return spec.api
    refusal: RequestError | None = None
    if spec.api == "auto":
        try:
            await client.complete({"prompt": _TEXT, "max_tokens": 1})
        except RequestError as error:
            if error.status not in _NO_ENDPOINT:
                raise
            refusal = error
        else:
            return "completions"
    most = min(_MOST_TOKENS, spec.max_completion_tokens or _MOST_TOKENS)
    fields = {"messages": [{"role": "user", "content": _MESSAGE}], "max_tokens": most}
    try:
        await client.complete(fields)
    except RequestError as error:
        if refusal is None:
            raise
        raise RequestError(
            f"neither endpoint responds: /completions: {refusal}; /chat/completions: {error}",
            error.status,
        ) from None
    return "chat"


async def _find_mode(client: Client, spec: OpenAISpec) -> ServerFacts:
    """Find the first way in which log-probabilities are given and do not depend on the order."""
    changes: dict[Mode, float] = {}
    for mode in await _modes(client, spec):
        try:
            change = await probe_order(client.complete, mode)
        except RequestError as error:
            if error.status not in _REFUSALS:
                raise
            continue
        if change is not None and change <= MOST_CHANGE:
            return ServerFacts("completions", mode, changes)
        if change is not None:
            changes[mode] = change
    return ServerFacts("completions", None, changes)


async def _modes(client: Client, spec: OpenAISpec) -> Sequence[Mode]:
    """Return the ways to try, as far as a model's entry leaves them open."""
    match spec.logprobs:
        case "none":
            return ()
        case "auto":
            # Fields of `extra_body` are for other endpoints; one may choose another model.
            native = not spec.extra_body and await client.has_sglang()
            return MODES if native else [mode for mode in MODES if mode != "sglang"]
        case mode:
            return (mode,)
