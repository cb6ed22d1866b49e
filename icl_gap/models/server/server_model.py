"""A model behind an OpenAI-compatible completions endpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from icl_gap.errors import IclGapError, InferenceError, ModelError, PromptError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.engine.sequences import gold_tokens, prompt_tokens, room_for
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.identity import Identity
from icl_gap.models.server.api_keys import read_key
from icl_gap.models.server.budget import Budget
from icl_gap.models.server.client import Client, connect
from icl_gap.models.server.failures import LONGEST_ADVICE, RequestError, told
from icl_gap.models.server.logprobs import FIELDS, Finding, Mode, gives_logprobs, judge, read_forced
from icl_gap.models.server.parallel import in_parallel
from icl_gap.models.server.responses import Served, read_answer
from icl_gap.models.server.stops import Stops
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import ModelInfo, Predictions, Response, Usage

_PROBE = "walk and walk and walk"
_REFUSALS = frozenset({400, 422, *range(500, 600)})
"""How servers say that they do not know a field, or fall over it."""


class ApiModel:
    """A model that a server runs.

    Args:
        spec: The model.
        identity: What `identify` found of it.
        tokenizer: The model's, where the user names one.
        key: For the server; None where it needs none.
    """

    def __init__(
        self, spec: OpenAISpec, identity: Identity, tokenizer: TextTokenizer | None, key: str | None
    ) -> None:
        self.info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=spec.n_params,
            n_params_non_embedding=spec.n_params_non_embedding,
            context_length=identity.context_length,
            size_source=spec.size_source,
            training_tokens=spec.training_tokens,
            device=urlsplit(spec.base_url).netloc,
        )
        self._spec = spec
        self._tokenizer = tokenizer
        self._key = key
        self._budget = Budget(spec)
        self._stops = Stops()
        self._mode: Mode | None = None
        match spec.logprobs:
            case "auto":
                self._mode = self._find_mode()
            case "echo" | "prompt_logprobs":
                self._mode = spec.logprobs

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

        session = connect(self._spec, self._key, self._budget, self._stops)
        for group, outcome in in_parallel(session, groups, work, limit=self._spec.concurrency):
            first, *others = group
            yield first.id, outcome
            yield from ((request.id, _without_usage(outcome)) for request in others)

    async def _respond(
        self, client: Client, request: Request, predictions: Predictions
    ) -> Response | IclGapError:
        try:
            return await _Exchange(self._spec, self._tokenizer, client, request).respond(
                self._mode if predictions == "verdict" else None
            )
        except PromptError as error:
            return error
        except InferenceError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 (whatever a server can do wrong fails one request)
            reason = told(f"{type(error).__name__}: {error}", self._key)
        return InferenceError(f"{self.info.name} failed on {request.query_id}: {reason}")

    def _find_mode(self) -> Mode | None:
        """How the server gives the log-probabilities of a prompt, if it does.

        Raises:
            ModelError: It does not answer at all.
        """
        try:
            session = connect(self._spec, self._key, self._budget, self._stops)
            (mode,) = in_parallel(session, (_PROBE,), _find_mode, limit=1)
        except Exception as error:  # noqa: BLE001 (whatever an address or a server can do wrong)
            reason = told(str(error) or type(error).__name__, self._key, LONGEST_ADVICE)
        else:
            return mode
        # Raised here, where no other exception is at hand that may hold the request with its key.
        raise ModelError(f"{self.info.name} does not answer: {reason}", value=self._spec.base_url)


def _without_usage(outcome: Response | IclGapError) -> Response | IclGapError:
    """Return a response as one that took no tokens: another request has paid for it."""
    if isinstance(outcome, Response) and outcome.usage is not None:
        return replace(outcome, usage=Usage(0, 0))
    return outcome


async def _find_mode(client: Client, text: str) -> Mode | None:
    """The first way of asking for log-probabilities that gives some, tried on a text."""
    for mode, fields in FIELDS.items():
        try:
            served = await client.complete({"prompt": text, "max_tokens": 1, **fields})
        except RequestError as error:
            if error.status not in _REFUSALS:
                raise
            continue
        if gives_logprobs(mode, served):
            return mode
    return None


class _Exchange:
    """The calls to a server that one request takes: one or two.

    Args:
        spec: The model.
        tokenizer: The model's, where there is one.
        client: Sends requests.
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
        self._room = room_for(request, (), None)
        """The most tokens that the answer may take."""
        self._fits = True
        """Whether the context holds the gold answer and a token more."""
        if tokenizer is not None and spec.context_length is not None:
            prompt = prompt_tokens(request, tokenizer)
            self._room = room_for(request, prompt, spec.context_length)
            self._fits = len(gold_tokens(request, tokenizer, prompt)) < self._room

    async def respond(self, mode: Mode | None) -> Response:
        """Make the calls.

        Args:
            mode: How to get a verdict without decoding; None to decode.

        Raises:
            InferenceError: The server did not answer.
        """
        finding = None
        if mode is not None and self._fits and self._request.gold.strip():
            finding = await self._score_gold(mode)
        if finding is not None and finding.answer is not None:
            return replace(finding.answer, usage=self._usage, served_model=self._served_model)
        return await self._decode(finding)

    async def _score_gold(self, mode: Mode) -> Finding | None:
        request = self._request
        sent = request.prompt.text + request.gold
        served = await self._send({"prompt": sent, "max_tokens": 1, **FIELDS[mode]})
        if mode == "echo" and not served.text.startswith(sent):
            return None  # what was echoed is not what was sent, and its end cannot be told
        forced = read_forced(mode, served, request.gold)
        if forced is None:
            return None
        after = served.text.removeprefix(sent) if mode == "echo" else served.text
        eos = not after and served.finish_reason != "length"
        return judge(request, forced, after, eos=eos)

    async def _decode(self, finding: Finding | None) -> Response:
        request = self._request
        fields = {
            "prompt": request.prompt.text,
            "max_tokens": self._room,
            "stop": [request.stop],
        }
        served = await self._send(fields)
        _check_whole(served, self._room)
        completion, divergence = read_answer(served, request, self._tokenizer)
        return Response(
            completion=completion,
            divergence=divergence,
            gold_logprob=None if finding is None else finding.gold_logprob,
            gold_tokens=None if finding is None else finding.gold_tokens,
            usage=self._usage,
            served_model=self._served_model,
        )

    async def _send(self, fields: dict[str, Any]) -> Served:
        served = await self._client.complete(fields)
        self._served_model = served.model
        if served.usage is not None:
            before = self._usage or Usage(0, 0)
            self._usage = Usage(
                before.prompt_tokens + served.usage.prompt_tokens,
                before.completion_tokens + served.usage.completion_tokens,
            )
        return served


def _check_whole(served: Served, most: int) -> None:
    """Check that a server that counts no tokens did not cut an answer before it began.

    Args:
        served: The answer; for one with a count, `check_served` has done it.
        most: The tokens asked for.

    Raises:
        InferenceError: It did.
    """
    if served.finish_reason == "length" and not served.text:
        raise InferenceError(f"the server cut the answer short, after 0 of {most} tokens")


def load_openai(spec: OpenAISpec, identity: Identity, tokenizer: TextTokenizer | None) -> ApiModel:
    """Get ready to ask a server; with `logprobs: auto`, ask it what it can do.

    Args:
        spec: The model.
        identity: What `identify` found of it.
        tokenizer: The model's, where the user names one.

    Raises:
        ModelError: There is no key, or the server does not answer.
    """
    return ApiModel(spec, identity, tokenizer, read_key(spec))
