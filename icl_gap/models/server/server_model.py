"""A model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from icl_gap.errors import IclGapError, InferenceError, ModelError, PromptError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.engine.tokenization import encode_gold, fit_max_new_tokens, prompt_tokens
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.identity import Identity
from icl_gap.models.server.budget import Budget
from icl_gap.models.server.chat_exchange import respond_in_chat
from icl_gap.models.server.client import Client, connect
from icl_gap.models.server.failures import LONGEST_ADVICE, redacted
from icl_gap.models.server.logprobs import FIELDS, GoldScore, Mode, read_gold_tokens, score_gold
from icl_gap.models.server.parallel import in_parallel
from icl_gap.models.server.parameters import Parameters
from icl_gap.models.server.probing import ServerFacts, known_facts, probe_server
from icl_gap.models.server.responses import RawCompletion, read_response
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
            completions` and a known way of `logprobs`.
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
        self.info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=spec.n_params,
            n_params_non_embedding=spec.n_params_non_embedding,
            context_length=identity.context_length,
            size_source=spec.size_source,
            training_tokens=spec.training_tokens,
            device=urlsplit(spec.base_url).netloc,
            api=facts.api,
            chat=facts.api == "chat",
            left_out=self._parameters.left_out,
        )

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
            first, *others = group
            yield first.id, outcome
            yield from ((request.id, _without_usage(outcome)) for request in others)

    async def _respond(
        self, client: Client, request: Request, predictions: Predictions
    ) -> Response | IclGapError:
        try:
            if self._api == "chat":
                return await respond_in_chat(client, self._spec, request)
            return await _Exchange(self._spec, self._tokenizer, client, request).respond(
                self._mode if predictions == "verdict" else None
            )
        except PromptError as error:
            return error
        except InferenceError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (any fault of a server fails one request)
            reason = redacted(f"{type(error).__name__}: {error}", self._key)
        return InferenceError(f"{self._name} failed on {request.query_id}: {reason}")

    def _session(self) -> AbstractAsyncContextManager[Client]:
        return connect(self._spec, self._key, self._budget, self._stops, self._parameters)

    def _find_facts(self) -> ServerFacts:
        """Find out what the server can do, and say what the entry has left open.

        Raises:
            ModelError: The server does not respond, or not as the entry says.
        """
        spec = self._spec

        async def probe(client: Client, spec: OpenAISpec) -> ServerFacts:
            return await probe_server(client, spec, self._parameters)

        if (known := known_facts(spec)) is not None:
            return known
        try:
            (facts,) = in_parallel(self._session(), (spec,), probe, limit=1)
        except Exception as error:  # noqa: BLE001 (any fault of an address or a server)
            reason = redacted(str(error) or type(error).__name__, self._key, 2 * LONGEST_ADVICE)
        else:
            self._check(facts)
            return facts
        # Raised outside of the handler, whose exception may hold the request with its key.
        raise ModelError(f"{self._name} does not respond: {reason}", value=spec.base_url)

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
            return
        left_out = ", ".join(self._parameters.left_out)
        refused = f"; it refuses {left_out}" if left_out else ""
        if self._spec.api == "auto" or left_out:
            _log.warning("%s: the server responds to messages (`api: chat`)%s", self._name, refused)


def _without_usage(outcome: Response | IclGapError) -> Response | IclGapError:
    """Return a response as one that took no tokens: another request has paid for it."""
    if isinstance(outcome, Response) and outcome.usage is not None:
        return replace(outcome, usage=Usage(0, 0))
    return outcome


class _Exchange:
    """The one or two calls to a server that a request takes.

    Args:
        spec: The model.
        tokenizer: The model's tokenizer, where there is one.
        client: The client of the server.
        request: The request.
    """

    def __init__(
        self, spec: OpenAISpec, tokenizer: TextTokenizer | None, client: Client, request: Request
    ) -> None:
        self._client = client
        self._request = request
        self._tokenizer = tokenizer
        self._usage: Usage | None = None
        self._served_model: str | None = None
        self._room = fit_max_new_tokens(request, (), None)
        """Most tokens of the response."""
        self._fits = True
        """True if the context has room for the gold text and one more token."""
        if tokenizer is not None and spec.context_length is not None:
            prompt = prompt_tokens(request, tokenizer)
            self._room = fit_max_new_tokens(request, prompt, spec.context_length)
            self._fits = len(encode_gold(request, tokenizer, prompt)) < self._room

    async def respond(self, mode: Mode | None) -> Response:
        """Make the calls.

        Args:
            mode: Mode of the prompt's log-probabilities, for a verdict without decoding; None to
                decode.

        Raises:
            InferenceError: The server did not respond.
        """
        score = None
        if mode is not None and self._fits and self._request.gold.strip():
            score = await self._score_gold(mode)
        if score is not None and score.response is not None:
            return replace(score.response, usage=self._usage, served_model=self._served_model)
        return await self._decode(score)

    async def _score_gold(self, mode: Mode) -> GoldScore | None:
        request = self._request
        sent = request.prompt.text + request.gold
        completion = await self._send({"prompt": sent, "max_tokens": 1, **FIELDS[mode]})
        if mode == "echo" and not completion.text.startswith(sent):
            return None  # the echo differs from what was sent, so its end is not known
        tokens = read_gold_tokens(mode, completion, request.gold)
        if tokens is None:
            return None
        after = completion.text.removeprefix(sent) if mode == "echo" else completion.text
        eos = not after and completion.finish_reason != "length"
        return score_gold(request, tokens, after, eos=eos)

    async def _decode(self, score: GoldScore | None) -> Response:
        request = self._request
        fields = {
            "prompt": request.prompt.text,
            "max_tokens": self._room,
            "stop": [request.stop],
        }
        completion = await self._send(fields)
        _check_whole(completion, self._room)
        text, divergence = read_response(completion, request, self._tokenizer)
        return Response(
            completion=text,
            divergence=divergence,
            gold_logprob=None if score is None else score.gold_logprob,
            gold_tokens=None if score is None else score.gold_tokens,
            usage=self._usage,
            served_model=self._served_model,
        )

    async def _send(self, fields: dict[str, Any]) -> RawCompletion:
        completion = await self._client.complete(fields)
        self._served_model = completion.model
        if completion.usage is not None:
            before = self._usage or Usage(0, 0)
            self._usage = Usage(
                before.prompt_tokens + completion.usage.prompt_tokens,
                before.completion_tokens + completion.usage.completion_tokens,
            )
        return completion


def _check_whole(completion: RawCompletion, most: int) -> None:
    """Check that a server that counts no tokens did not truncate a response to nothing.

    Args:
        completion: The completion; `check_completion` has checked one with a count.
        most: Most new tokens of the request.

    Raises:
        InferenceError: The response is empty, and not ended by a stop.
    """
    if completion.finish_reason == "length" and not completion.text:
        raise InferenceError(f"the server cut the response short, after 0 of {most} tokens")
