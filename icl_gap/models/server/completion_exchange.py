"""The calls to a completions endpoint that a request takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from icl_gap.errors import InferenceError
from icl_gap.models.base import Request
from icl_gap.models.hf.engine.tokenization import encode_gold, fit_max_new_tokens, prompt_tokens
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.server.client import Client
from icl_gap.models.server.gold_scoring import score_text
from icl_gap.models.server.logprobs import GoldScore, Mode, score_gold
from icl_gap.models.server.responses import RawCompletion, read_response
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Response, Usage


class CompletionExchange:
    """The calls to a server that a request takes: for its verdict, for its response, or both.

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
        request, tokenizer = self._request, self._tokenizer
        n_prompt = None if tokenizer is None else len(prompt_tokens(request, tokenizer))
        found = await score_text(self._send, mode, request.prompt.text, request.gold, n_prompt)
        if found is None:
            return None
        return score_gold(request, found.tokens, found.after, eos=found.eos)

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
            self._usage = (self._usage or Usage(0, 0)) + completion.usage
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
