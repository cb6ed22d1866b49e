"""Batches of prefill passes over the trie of all requests, each followed by its decoding."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from icl_gap.errors import InferenceError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf.engine.batch_error import BatchError
from icl_gap.models.hf.engine.chat_state import ChatState
from icl_gap.models.hf.engine.decoding import ActiveResponse, TokenBudget, decode
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, Prefix, detach, truncate
from icl_gap.models.hf.engine.passes import Runner, Segment, TokenPredictions
from icl_gap.models.hf.engine.response_state import ResponseState
from icl_gap.models.hf.engine.tokenization import TokenizedRequest, tokenize_requests
from icl_gap.models.hf.engine.trie import (
    Branch,
    RequestBatch,
    order_paths,
    plan_batches,
    required_batches,
)
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.schema import Predictions, Response


@dataclass(frozen=True, slots=True)
class Engine:
    """Responds to requests with a model."""

    name: str
    """The model's name."""
    runner: Runner
    tokenizer: TextTokenizer
    context_length: int | None
    """The model's context in tokens; None if it has no limit."""
    kv_cache_tokens: int
    """Tokens whose keys and values are kept at a time. One request alone may take more."""
    pass_tokens: int
    """Tokens that one pass computes, at most."""
    rounding_bound: float | None = None
    """The largest error of a difference of logits. Responses whose verdict it leaves open say so;
    None to take every verdict as it is."""
    chat_template: ChatTemplate | None = None
    """The template that has written the prompts; None where they are plain texts."""

    def respond(
        self,
        requests: Sequence[Request],
        predictions: Predictions,
        wanted: Collection[RequestId] | None,
    ) -> Iterator[Outcome]:
        """Respond to requests; see `icl_gap.models.Model`.

        A batch that runs out of memory halves the token budget of what is left. The requests of a
        batch that fails in another way are run one by one, so that only those fail that fail by
        themselves.

        Args:
            requests: All requests of the run.
            predictions: With `full`, wrong responses are decoded to their ends, as those of a chat
                always are.
            wanted: Ids of the requests to respond to; None for all.

        Yields:
            The id of each request with its response, or with the error in its stead.
        """
        if self.chat_template is not None:
            predictions = "full"  # the answer may stand anywhere in the response
        ids = frozenset((request.id for request in requests) if wanted is None else wanted)
        planned, failures = tokenize_requests(
            requests,
            self.tokenizer,
            context_length=self.context_length,
            predictions=predictions,
            adjudicated=self.rounding_bound is not None,
        )
        yield from (each for each in failures if each[0] in ids)
        pending = {each for each in planned if not ids.isdisjoint(each.ids)}
        budget = self.kv_cache_tokens
        while pending:
            try:
                for request, response in self._run_batches(planned, pending, predictions, budget):
                    pending.discard(request)
                    yield from _shared(response, [id_ for id_ in request.ids if id_ in ids])
            except BatchError as error:  # keeps the batch's memory alive, so it is dropped here
                failed, size, no_memory = error.requests, error.tokens, error.is_out_of_memory
            else:
                return
            if no_memory and len(failed) > 1:
                budget = min(budget, size) // 2
            else:
                for request in [each for each in failed if each in pending]:
                    pending.discard(request)
                    found = self._run_alone(
                        request, predictions, 1 if no_memory else self.kv_cache_tokens
                    )
                    yield from _shared(found, [id_ for id_ in request.ids if id_ in ids])
            # The KV cache of earlier batches is gone, so what is left is planned anew.
            planned = [each for each in planned if each in pending]

    def _run_alone(
        self, request: TokenizedRequest, predictions: Predictions, budget: int
    ) -> Response | InferenceError:
        """Run one request of a failed batch by itself."""
        try:
            ((_, response),) = self._run_batches([request], {request}, predictions, budget)
        except BatchError as error:
            return error.to_inference_error(self.name)
        return response

    def _run_batches(
        self,
        requests: Sequence[TokenizedRequest],
        pending: Collection[TokenizedRequest],
        predictions: Predictions,
        budget: int,
    ) -> Iterator[tuple[TokenizedRequest, Response]]:
        """Plan all requests, and run the batches that the pending ones need, in order.

        Raises:
            BatchError: A batch failed.
        """
        batches = plan_batches(
            order_paths([each.path for each in requests]),
            kv_cache_tokens=budget,
            pass_tokens=min(self.pass_tokens, budget),
        )
        required = required_batches(
            batches, {n for n, each in enumerate(requests) if each in pending}
        )
        prefix: Prefix = ()  # the last path's KV cache: all that is kept between batches
        for number, batch in enumerate(batches):
            if number not in required:
                prefix = truncate(prefix, min(branch.shared for branch in batch.branches))
                continue
            prefix = detach(truncate(prefix, next(batch.branches).shared))
            responses = self._run_batch(batch, requests, prefix, predictions, budget)
            while True:
                try:
                    response = next(responses)
                except StopIteration as end:
                    prefix = end.value
                    break
                except Exception as error:  # whatever a model, a kernel or a device can do wrong
                    failed = [requests[branch.index] for branch in batch.branches]
                    raise BatchError(failed, batch.tokens) from error
                if response.tokenized in pending:
                    shrunk = budget if budget < self.kv_cache_tokens else None
                    yield response.tokenized, _finish(response, shrunk, self.rounding_bound)
                del response  # frees the keys and values that it holds

    @torch.inference_mode()
    def _run_batch(
        self,
        batch: RequestBatch,
        requests: Sequence[TokenizedRequest],
        prefix: Prefix,
        predictions: Predictions,
        budget: int,
    ) -> Generator[ActiveResponse, None, Prefix]:
        """Prefill a batch and decode its responses.

        Args:
            batch: The batch.
            requests: The requests that its branches are indices of.
            prefix: KV cache of the path before.
            predictions: With `full`, wrong responses are decoded to their ends.
            budget: Tokens whose keys and values are kept at a time.

        Yields:
            Each response once it is done.

        Returns:
            The KV cache of the last path.
        """

        def is_done(response: ActiveResponse) -> bool:
            return _is_done(response, predictions)

        active: list[ActiveResponse] = []
        for branches in batch.passes:
            started, prefix = self._prefill(branches, requests, prefix)
            for response in started:
                if is_done(response):
                    yield response
                else:
                    active.append(response)
                    response.make_contiguous()
        if active:
            yield from decode(
                self.runner,
                self.tokenizer,
                active,
                cached_tokens=next(batch.branches).shared + sum(b.new for b in batch.branches),
                budget=TokenBudget(budget, min(self.pass_tokens, budget)),
                is_done=is_done,
                within=self.rounding_bound,
            )
        return prefix

    def _prefill(
        self, branches: Sequence[Branch], requests: Sequence[TokenizedRequest], prefix: Prefix
    ) -> tuple[list[ActiveResponse], Prefix]:
        """Run one pass over prompts and gold targets, or the first tokens of these.

        Returns:
            The responses as far as they equal their gold targets, and the last path's KV cache.
        """
        began, cache = time.perf_counter(), KVCache()
        segments, paths, start = [], [], 0
        for branch in branches:
            path = requests[branch.index].path
            prefix = truncate(prefix, branch.shared)
            kept = len(path.tokens) - path.prompt_length + 1
            likelihood = requests[branch.index].request.likelihood
            segments.append(
                Segment(path.tokens, branch.new, kept, likelihood, self.rounding_bound, prefix)
            )
            prefix = (*prefix, CacheSlice(cache, start, start + branch.new))
            paths.append(prefix)
            start += branch.new
        predicted = self.runner.run(segments, cache)
        responses = [
            self._start(requests[branch.index], path, found)
            for branch, path, found in zip(branches, paths, predicted, strict=True)
        ]
        share = (time.perf_counter() - began) / len(responses)
        for response in responses:
            response.seconds = share
        return responses, prefix

    def _start(
        self, tokenized: TokenizedRequest, path: Prefix, found: TokenPredictions
    ) -> ActiveResponse:
        """Start a response from the predictions along its gold target."""
        gold, state = tokenized.gold_tokens, self._state(tokenized)
        prefilled = gold[: len(found.argmax) - 1]
        started = ActiveResponse(tokenized, state, path, None)
        accepted = started.verify(prefilled, found)
        wanted = tokenized.request.likelihood and gold and tokenized.gold_fits
        started.gold_logprob = sum(found.logprobs) / len(gold) if wanted else None
        started.prefix = truncate(path, tokenized.path.prompt_length + accepted)
        return started

    def _state(self, tokenized: TokenizedRequest) -> ResponseState | ChatState:
        """Return the state of a response without tokens."""
        request, most = tokenized.request, tokenized.max_new_tokens
        if self.chat_template is not None:
            prompt, gold = request.prompt.text, request.gold
            return ChatState(self.tokenizer, self.chat_template, prompt, gold, max_new_tokens=most)
        return ResponseState(
            self.tokenizer,
            request.gold,
            tokenized.gold_tokens,
            stop=request.stop,
            max_new_bytes=request.max_new_bytes,
            max_new_tokens=most,
        )


def _is_done(response: ActiveResponse, predictions: Predictions) -> bool:
    """Return True if a response has ended, or if its verdict is known and is all that is wanted."""
    state, can_still_match = response.state, response.tokenized.request.can_still_match
    if state.completion is not None or "open" in response.other_verdicts:
        return True
    if isinstance(state, ChatState) or predictions == "full" or state.divergence is None:
        return False
    return can_still_match is None or not any(map(can_still_match, state.candidate_texts))


def _shared(outcome: Response | InferenceError, ids: Sequence[RequestId]) -> Iterator[Outcome]:
    """Yield one outcome for requests of equal content, with the time that it took shared out."""
    if isinstance(outcome, Response) and outcome.seconds is not None:
        outcome = replace(outcome, seconds=outcome.seconds / len(ids))
    yield from ((id_, outcome) for id_ in ids)


def _finish(
    response: ActiveResponse, kv_cache_tokens: int | None, rounding_bound: float | None
) -> Response:
    gold, whole = response.tokenized.gold_tokens, response.tokenized.gold_fits
    return Response(
        completion=response.state.completion,
        divergence=response.state.divergence,
        gold_logprob=response.gold_logprob,
        gold_tokens=len(gold) if gold and whole else None,
        kv_cache_tokens=kv_cache_tokens,
        rounding_bound=rounding_bound if response.is_sure else None,
        seconds=response.seconds,
        reasoning=response.state.reasoning if isinstance(response.state, ChatState) else None,
    )
