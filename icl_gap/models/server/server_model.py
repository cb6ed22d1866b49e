"""A model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from urllib.parse import urlsplit

from icl_gap.errors import IclGapError, InferenceError, ModelError, PromptError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.identity import Identity
from icl_gap.models.server.budget import Budget
from icl_gap.models.server.chat_exchange import respond_in_chat
from icl_gap.models.server.client import Client
from icl_gap.models.server.completion_exchange import CompletionExchange
from icl_gap.models.server.connection import connect
from icl_gap.models.server.failures import LONGEST_ADVICE, redacted
from icl_gap.models.server.parallel import in_parallel
from icl_gap.models.server.parameters import Parameters
from icl_gap.models.server.probing import ServerFacts, known_facts, probe_server
from icl_gap.models.server.stops import Stops
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import ModelInfo, Predictions, Response, Usage

_log = logging.getLogger(__name__)


class ServerModel:
    """A model that a server runs.

    Args:
        spec: The model.
        identity: The result of `identify`.
        tokenizer: The model's tokenizer, where the user names one.
        key: The API key; None where the server needs none.

    Raises:
        ModelError: The server does not respond as the entry says; not checked with `api:
            completions` and `logprobs: none`.
    """

    def __init__(
        self, spec: OpenAISpec, identity: Identity, tokenizer: TextTokenizer | None, key: str | None
    ) -> None:
        self._name = identity.name
        self._spec = spec
        self._tokenizer = tokenizer
        self._key = key
        self._budget = Budget(spec)
        self._stops = Stops()
        self._parameters = Parameters(spec)
        facts = self._find_facts()
        self._api = facts.api
        self._mode = facts.mode
        self._said = self._parameters.left_out
        """Parameters that were said to be left out."""
        self._info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=spec.n_params,
            n_params_non_embedding=spec.n_params_non_embedding,
            context_length=identity.context_length,
            size_source=spec.size_source,
            training_tokens=spec.training_tokens,
            device=urlsplit(spec.base_url).netloc,
            api=facts.api,
            prompt_logprobs=facts.source,
            chat=facts.api == "chat",
        )

    @property
    def info(self) -> ModelInfo:
        """Description of the model, with the parameters that the server has refused so far."""
        return replace(self._info, left_out=self._parameters.left_out)

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests as greedy decoding would; see `icl_gap.models.Model`.

        Requests of equal content are sent once. The tokens that this took are counted with the
        first of them.
        """
        same: dict[object, list[Request]] = {}
        for request in requests:
            if wanted is None or request.id in wanted:
                same.setdefault(request.content, []).append(request)
        groups = sorted(same.values(), key=lambda group: group[0].rank)

        async def work(
            client: Client, group: list[Request]
        ) -> tuple[list[Request], Response | IclGapError]:
            return group, await self._respond(client, group[0], predictions)

        for group, outcome in in_parallel(
            self._session(), groups, work, limit=self._spec.concurrency
        ):
            self._say_refusals()
            first, *others = group
            yield first.id, outcome
            yield from ((request.id, _without_usage(outcome)) for request in others)

    @property
    def cost(self) -> float:
        """Cost of its requests in dollars, that of earlier runs included."""
        return self._budget.cost

    async def _respond(
        self, client: Client, request: Request, predictions: Predictions
    ) -> Response | IclGapError:
        try:
            if self._api == "chat":
                return await respond_in_chat(client, self._spec, request)
            exchange = CompletionExchange(self._spec, self._tokenizer, client, request)
            return await exchange.respond(self._mode if predictions == "verdict" else None)
        except PromptError as error:
            return error
        except InferenceError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (any fault of a server fails one request)
            reason = redacted(f"{type(error).__name__}: {error}", self._key)
        return InferenceError(f"{self._name} failed on {request.query_id}: {reason}")

    def _say_refusals(self) -> None:
        """Say which parameters the server refuses that it took when the model was loaded."""
        now = self._parameters.left_out
        if new := ", ".join(name for name in now if name not in self._said):
            _log.warning("%s: the server now refuses %s, which is left out", self._name, new)
            self._said = now

    def _session(self) -> AbstractAsyncContextManager[Client]:
        return connect(self._spec, self._key, self._budget, self._stops, self._parameters)

    def _find_facts(self) -> ServerFacts:
        """Find out what the server can do, and say what the entry has left open.

        Raises:
            ModelError: The server does not respond, or not as the entry says.
        """
        spec = self._spec
        if (known := known_facts(spec)) is not None:
            return known
        try:
            (facts,) = in_parallel(self._session(), (spec,), probe_server, limit=1)
        except Exception as error:  # noqa: BLE001 (any fault of an address or a server)
            reason = redacted(str(error) or type(error).__name__, self._key, 2 * LONGEST_ADVICE)
        else:
            self._check(facts)
            return facts
        # Raised outside of the handler, whose exception may hold the request with its key.
        raise ModelError(f"{self._name} does not respond: {reason}", value=spec.base_url)

    def _say_unstable(self, facts: ServerFacts) -> None:
        change = max(facts.changes.values())
        nats = "more than any rounding" if math.isinf(change) else f"up to {change:.2g} nats"
        _log.warning(
            "%s: log-probabilities of a prompt (%s) change by %s with the requests before, so that "
            "responses are decoded; a server without a prefix cache may give better ones",
            self._name,
            ", ".join(facts.changes),
            nats,
        )

    def _check(self, facts: ServerFacts) -> None:
        """Check that the entry fits the endpoint that was found, and say which it is.

        Raises:
            ModelError: The entry has options of a chat, and there is none.
        """
        if facts.api == "completions":
            if needless := self._spec.changed_chat_options():
                raise ModelError(
                    f"{self._name}: `{needless[0]}` is for a chat, and the server continues texts",
                    allowed="`api: chat`, or an entry without it",
                )
            if facts.source == "unstable":
                self._say_unstable(facts)
        elif self._spec.api == "auto":
            _log.warning("%s: the server responds to messages (`api: chat`)", self._name)
        if left_out := ", ".join(self._parameters.left_out):
            _log.warning("%s: the server refuses %s, which is left out", self._name, left_out)


def _without_usage(outcome: Response | IclGapError) -> Response | IclGapError:
    """Return a response as one that took no tokens: another request has paid for it."""
    if isinstance(outcome, Response) and outcome.usage is not None:
        return replace(outcome, usage=Usage(0, 0))
    return outcome
