"""Waves of passes over the trie of all requests, each followed by the decoding of what goes on."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence
from dataclasses import dataclass

import torch

from icl_gap.errors import InferenceError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.engine.decoding import Going, Limits, decode
from icl_gap.models.hf.engine.packing import KeyValues, Piece, cut, detached
from icl_gap.models.hf.engine.passes import Predicted, Runner, Segment
from icl_gap.models.hf.engine.response_state import Reply, follow
from icl_gap.models.hf.engine.sequences import TokenizedRequest, tokenize_requests
from icl_gap.models.hf.engine.trie import Branch, Wave, arrange, needed, waves
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.schema import Predictions, Response

Pieces = tuple[Piece, ...]
_NO_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "std::bad_alloc")
"""What torch says where it raises nothing more exact."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Responds to requests with a model."""

    name: str
    """The model's."""
    runner: Runner
    tokenizer: TextTokenizer
    context_length: int | None
    """The model's, in tokens; None where it has no limit."""
    most_tokens: int
    """Whose keys and values are kept at a time. One request alone may take more."""
    pass_tokens: int
    """What one pass may compute."""

    def respond(
        self,
        requests: Sequence[Request],
        predictions: Predictions,
        wanted: Collection[RequestId] | None,
    ) -> Iterator[Outcome]:
        """Respond to requests; see `icl_gap.models.Model`.

        Where a wave runs out of memory, what is left is tried again with half of its tokens. The
        requests of one that fails in another way are run one by one, so that only those which
        fail by themselves stay unanswered.
        """
        ids = frozenset((request.id for request in requests) if wanted is None else wanted)
        asks, failures = tokenize_requests(
            requests, self.tokenizer, context_length=self.context_length, predictions=predictions
        )
        yield from (each for each in failures if each[0] in ids)
        todo = {ask for ask in asks if not ids.isdisjoint(ask.ids)}
        members, budget = asks, self.most_tokens
        while todo:
            try:
                for ask, answer in self._walk(members, todo, predictions, budget):
                    todo.discard(ask)
                    yield from ((id_, answer) for id_ in ask.ids if id_ in ids)
            except _WaveError as error:  # let go of at once, for it holds what the wave computed
                lost, size, no_memory = error.asks, error.tokens, error.for_want_of_memory
            else:
                return
            if no_memory and len(lost) > 1:
                budget = min(budget, size) // 2
            else:
                for ask in [ask for ask in lost if ask in todo]:
                    todo.discard(ask)
                    found = self._alone(ask, predictions, 1 if no_memory else self.most_tokens)
                    yield from ((id_, found) for id_ in ask.ids if id_ in ids)
            # What was computed went with the wave, so what is left is planned anew.
            members = [ask for ask in members if ask in todo]

    def _alone(
        self, ask: TokenizedRequest, predictions: Predictions, budget: int
    ) -> Response | InferenceError:
        """Answer one request of a wave that failed, by itself."""
        try:
            ((_, answer),) = self._walk([ask], {ask}, predictions, budget)
        except _WaveError as error:
            return error.told(self.name)
        return answer

    def _walk(
        self,
        members: Sequence[TokenizedRequest],
        todo: Collection[TokenizedRequest],
        predictions: Predictions,
        budget: int,
    ) -> Iterator[tuple[TokenizedRequest, Response]]:
        """Run the waves that are needed, in order.

        Raises:
            _WaveError: One failed.
        """
        plan = waves(
            arrange([ask.path for ask in members]),
            most_tokens=budget,
            pass_tokens=min(self.pass_tokens, budget),
        )
        wanted = {n for n, ask in enumerate(members) if ask in todo}
        must = needed(plan, wanted)
        pieces: Pieces = ()  # of the path before: all that is kept between waves
        for number, wave in enumerate(plan):
            if number not in must:
                pieces = cut(pieces, min(branch.shared for branch in wave.branches))
                continue
            pieces = detached(cut(pieces, next(wave.branches).shared))
            asks = [members[branch.path] for branch in wave.branches]
            going = self._run(wave, members, pieces, predictions=predictions, budget=budget)
            while True:
                try:
                    row = next(going)
                except StopIteration as end:
                    pieces = end.value
                    break
                except Exception as error:  # whatever a model, a kernel or a device can do wrong
                    raise _WaveError(asks, wave.tokens) from error
                if row.ask in todo:
                    shrunk = budget if budget < self.most_tokens else None
                    yield row.ask, _answer(row, shrunk)
                del row  # and with it the keys and values that it holds

    @torch.inference_mode()
    def _run(
        self,
        wave: Wave,
        members: Sequence[TokenizedRequest],
        pieces: Pieces,
        *,
        predictions: Predictions,
        budget: int,
    ) -> Generator[Going, None, Pieces]:
        """Run a wave.

        Args:
            wave: What to run.
            members: What its branches stand for.
            pieces: Of the path before.
            predictions: Whether wrong answers are followed to their ends.
            budget: How many tokens' keys and values to keep.

        Yields:
            Each answer, as it is settled.

        Returns:
            The pieces of the last path.
        """

        def settled(row: Going) -> bool:
            return _settled(row.reply, row.ask.request, predictions)

        going: list[Going] = []
        for branches in wave.passes:
            begun, pieces = self._begin(branches, members, pieces)
            for row in begun:
                if settled(row):
                    yield row
                else:
                    going.append(row)
                    row.compact()
        if going:
            yield from decode(
                self.runner,
                self.tokenizer,
                going,
                held=next(wave.branches).shared + sum(branch.new for branch in wave.branches),
                limits=Limits(most_tokens=budget, pass_tokens=min(self.pass_tokens, budget)),
                settled=settled,
            )
        return pieces

    def _begin(
        self, branches: Sequence[Branch], members: Sequence[TokenizedRequest], pieces: Pieces
    ) -> tuple[list[Going], Pieces]:
        """Run a pass, and follow each answer as far as it is the gold answer.

        Returns:
            The answers, and the pieces of the last path.
        """
        made = KeyValues()
        segments, paths, start = [], [], 0
        for branch in branches:
            path = members[branch.path].path
            pieces = cut(pieces, branch.shared)
            asked = len(path.tokens) - path.prompt + 1
            segments.append(Segment(path.tokens, branch.new, asked, pieces))
            pieces = (*pieces, Piece(made, start, start + branch.new))
            paths.append(pieces)
            start += branch.new
        predicted = self.runner.run(segments, made)
        rows = []
        for branch, each, found in zip(branches, paths, predicted, strict=True):
            rows.append(self._begun(members[branch.path], each, found))
        return rows, pieces

    def _begun(self, ask: TokenizedRequest, pieces: Pieces, found: Predicted) -> Going:
        request, draft = ask.request, ask.draft
        reply = Reply(
            self.tokenizer,
            request.gold,
            draft,
            stop=request.stop,
            max_new_bytes=request.max_new_bytes,
            room=ask.room,
        )
        held = follow(reply, found.best, draft)
        mean = sum(found.logprobs) / len(draft) if draft and ask.whole else None
        return Going(ask, reply, cut(pieces, ask.path.prompt + held), mean)


def _settled(reply: Reply, request: Request, predictions: Predictions) -> bool:
    """Whether nothing more is wanted of an answer: it has ended, or is wrong for good."""
    if reply.completion is not None:
        return True
    if predictions == "full" or reply.divergence is None:
        return False
    return request.can_still_match is None or not any(map(request.can_still_match, reply.readings))


def _answer(row: Going, batch_tokens: int | None) -> Response:
    return Response(
        completion=row.reply.completion,
        divergence=row.reply.divergence,
        gold_logprob=row.logprob,
        gold_tokens=None if row.logprob is None else len(row.ask.draft),
        batch_tokens=batch_tokens,
    )


class _WaveError(Exception):
    """A wave that failed, by what is its cause.

    Args:
        asks: What it was to answer.
        tokens: How many tokens it had.
    """

    def __init__(self, asks: list[TokenizedRequest], tokens: int) -> None:
        super().__init__()
        self.asks = asks
        self.tokens = tokens

    @property
    def for_want_of_memory(self) -> bool:
        """Whether fewer tokens may be a help."""
        cause = self.__cause__
        texts = isinstance(cause, RuntimeError) and any(text in str(cause) for text in _NO_MEMORY)
        return texts or isinstance(cause, torch.OutOfMemoryError | MemoryError)

    def told(self, name: str) -> InferenceError:
        """The failure in a user's words."""
        named = ", ".join(ask.request.prompt.query_id for ask in self.asks)
        if self.for_want_of_memory:
            return InferenceError(f"{name} failed on {named}: out of memory, even by itself")
        reason = (str(self.__cause__).strip().splitlines() or [""])[0]
        return InferenceError(
            f"{name} failed on {named}: {type(self.__cause__).__name__}: {reason}"
        )
