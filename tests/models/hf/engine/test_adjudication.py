"""Verdicts that are accepted in half precision against those of float32."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from asking import numbered
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import bpe, build_tiny
from tokenizers import Tokenizer, decoders, models

from icl_gap.models import Request
from icl_gap.models.hf.engine.adjudication import other_verdicts, verdict
from icl_gap.models.hf.engine.packing import KVCache
from icl_gap.models.hf.engine.passes import PaddedRunner, Runner, Segment, TokenPredictions
from icl_gap.models.hf.engine.response_state import ResponseState
from icl_gap.models.hf.engine.runner_choice import choose_runner
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec
from icl_gap.schema import Prompt, Response

MERGES = [("a", "b"), ("ab", "a"), ("b", "c"), (".", "\u010a"), ("\u0120", "a"), ("\u0120a", "b")]
EVERYTHING = 1e9
"""A distance within which every token is near."""


class Rounded:
    """A runner whose logits have errors, which differ by less than a bound at each position.

    Args:
        runner: A runner without errors.
        bound: The bound.
        rng: Its errors depend on nothing that a run computes, as those of half precision may.
    """

    def __init__(self, runner: Runner, bound: float, rng: random.Random) -> None:
        self.shares_prefixes = runner.shares_prefixes
        self._runner, self._bound, self._rng = runner, bound, rng

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        found = self._runner.run([replace(e, within=EVERYTHING) for e in segments], cache)
        return [self._rounded(*pair) for pair in zip(found, segments, strict=True)]

    def _rounded(self, found: TokenPredictions, segment: Segment) -> TokenPredictions:
        argmax, near = [], []
        for row in found.near:
            logits = {each: self._rng.uniform(0, self._bound) - far for each, far in row.items()}
            best = max(logits, key=logits.__getitem__)
            argmax.append(best)
            near.append({each: logits[best] - logit for each, logit in logits.items()})
        return _within(TokenPredictions(argmax, found.logprobs, near), segment.within)


class Compared:
    """A runner in half precision that measures its true errors, against a model in float32.

    Args:
        runner: The runner.
        exact: The model in float32.
    """

    def __init__(self, runner: Runner, exact: PaddedRunner) -> None:
        self.shares_prefixes = runner.shares_prefixes
        self.largest = 0.0
        """The largest error of a difference of logits so far."""
        self._runner, self._exact = runner, exact

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        everything = [replace(each, within=EVERYTHING) for each in segments]
        found = self._runner.run(everything, cache)
        true = self._exact.run([replace(each, prefix=()) for each in everything], KVCache())
        for ours, theirs in zip(found, true, strict=True):
            for one, other in zip(ours.near, theirs.near, strict=True):
                errors = [one[token] - other[token] for token in one]
                self.largest = max(self.largest, max(errors) - min(errors))
        return [_within(each, own.within) for each, own in zip(found, segments, strict=True)]


def _within(found: TokenPredictions, most: float | None) -> TokenPredictions:
    if most is None:
        return replace(found, near=[])
    near = [{token: far for token, far in row.items() if far <= most} for row in found.near]
    return replace(found, near=near)


@cache
def tokenizer() -> TextTokenizer:
    return TextTokenizer(rust_codec(bpe(MERGES)), (), frozenset())


def engine(runner: Runner, kv_cache_tokens: int = 8192, bound: float | None = None) -> Engine:
    return Engine("tiny", runner, tokenizer(), None, kv_cache_tokens, 64, bound)


@cache
def tiny_model(architecture: str, seed: int) -> Any:
    return build_tiny(architecture, bpe(MERGES), seed=seed)


@dataclass(frozen=True)
class Spaceless:
    """A target that spaces do not change, as a program."""

    gold: str

    def __call__(self, text: str) -> bool:
        return self.gold.replace(" ", "").startswith(text.replace(" ", ""))

    def equals(self, text: str) -> bool:
        return self.gold.replace(" ", "") == text.replace(" ", "")


def requests_of(
    exact: Engine, cases: Sequence[tuple[str, int, str]], *, canonical: bool, likelihood: bool
) -> list[Request]:
    """Requests whose gold targets are what the model writes, cut or with more behind it."""
    plain = [
        Request(Prompt(text, "", (), text), "", "\n", 10, likelihood=likelihood)
        for text, _, _ in cases
    ]
    found = dict(exact.respond(numbered(plain), "full", None))
    made = []
    for n, (each, (_, cut, more)) in enumerate(zip(numbered(plain), cases, strict=True)):
        outcome = found[each.id]
        assert isinstance(outcome, Response)
        assert outcome.completion is not None
        written = outcome.completion.text
        gold = (written[: len(written) - cut] if cut else written) + more
        can = Spaceless(gold.strip()) if canonical else None
        made.append(replace(plain[n], gold=gold, can_still_match=can))
    return numbered(made)


def verdicts(outcome: Any, request: Request) -> tuple[bool, bool]:
    """Whether a response is right, as a string and as a program."""
    assert isinstance(outcome, Response)
    raw = outcome.divergence is None
    can, completion = request.can_still_match, outcome.completion
    if not isinstance(can, Spaceless) or completion is None:
        return raw, raw
    return raw, can.equals(completion.text.strip())


def check(found: Any, true: Any, requests: Sequence[Request]) -> None:
    """What is accepted is float32's verdict."""
    for request in requests:
        outcome = found[request.id]
        assert isinstance(outcome, Response)
        if outcome.rounding_bound is not None:
            assert verdicts(outcome, request) == verdicts(true[request.id], request)


CASES = st.lists(
    st.tuples(
        st.text(st.sampled_from("abc. \n"), min_size=1, max_size=12),
        st.integers(0, 2),
        st.sampled_from(["", "", "", "a", " ab"]),
    ),
    min_size=1,
    max_size=8,
)
OPTIONS = st.fixed_dictionaries({"canonical": st.booleans(), "likelihood": st.booleans()})


@settings(max_examples=60)
@given(
    cases=CASES,
    options=OPTIONS,
    bound=st.sampled_from([0.05, 0.5, 2.0]),
    seed=st.integers(0, 3),
    budget=st.sampled_from([1, 40, 8192]),
    predictions=st.sampled_from(["verdict", "full"]),
    rng=st.randoms(use_true_random=False),
)
def test_whatever_is_accepted_within_the_true_bound_is_float32s_verdict(
    cases: Any,
    options: Any,
    bound: float,
    seed: int,
    budget: int,
    predictions: Any,
    rng: random.Random,
) -> None:
    runner = choose_runner(copy.deepcopy(tiny_model("opt", seed)))
    exact = engine(runner)
    requests = requests_of(exact, cases, **options)
    true = dict(exact.respond(requests, predictions, None))
    rounded = engine(Rounded(runner, bound, rng), budget, bound)
    check(dict(rounded.respond(requests, predictions, None)), true, requests)


@pytest.mark.parametrize("architecture", ["opt", "gemma3_text", "falcon"])
@settings(max_examples=10)
@given(cases=CASES, options=OPTIONS, seed=st.integers(0, 3))
def test_bfloat16_gives_float32s_verdicts(
    architecture: str, cases: Any, options: Any, seed: int
) -> None:
    model = tiny_model(architecture, seed)
    exact = engine(choose_runner(copy.deepcopy(model)))
    requests = requests_of(exact, cases, **options)
    half = Compared(choose_runner(copy.deepcopy(model).to(torch.bfloat16)), PaddedRunner(model))
    bound = -1.0
    while bound < half.largest:  # what is followed, and so where errors are, depends on the bound
        bound = half.largest
        found = dict(engine(half, bound=bound).respond(requests, "verdict", None))
    check(found, dict(exact.respond(requests, "verdict", None)), requests)


VOCABULARY = ("a", "b", "ab", "\u0120)", "\u0120)\u010a\u010a", "\u010a")
A, B, AB, BRACKET, BRACKET_LINES, LINE = range(len(VOCABULARY))


def state_of(gold: str, tokens: Sequence[int]) -> ResponseState:
    """The state of a response to be, one token a word of the vocabulary."""
    vocabulary = {token: n for n, token in enumerate(VOCABULARY)}
    rust = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    rust.decoder = decoders.ByteLevel()
    text = TextTokenizer(rust_codec(rust), (), frozenset())
    return ResponseState(text, gold, tokens, stop="\n", max_new_bytes=20, max_new_tokens=20)


def followed(
    gold: str,
    draft: Sequence[int],
    *near: Sequence[int],
    can_still_match: Callable[[str], bool] | None = None,
) -> set[str]:
    """The other verdicts where at each position some tokens are near, the model's own first."""
    rows = [{token: 0.1 * far for far, token in enumerate(tokens)} for tokens in near]
    found = TokenPredictions([tokens[0] for tokens in near], [], rows)
    state = state_of(gold, draft)
    others = other_verdicts(state, draft, found, can_still_match)
    assert state.tokens == []  # it is not changed
    return set(others)


def test_without_near_tokens_there_is_no_other_verdict() -> None:
    assert followed("ab )", [AB, BRACKET], [AB], [BRACKET], [LINE]) == set()
    assert followed("ab )", [AB, BRACKET], [B], [BRACKET], [LINE]) == set()


def test_a_near_token_that_leaves_the_gold_target_makes_it_wrong() -> None:
    assert followed("ab )", [AB, BRACKET], [AB], [BRACKET, B], [LINE]) == {"wrong"}
    assert followed("ab )", [AB, BRACKET], [AB], [BRACKET], [LINE, A]) == {"wrong"}


def test_a_gold_token_that_is_near_is_followed_to_the_end() -> None:
    assert followed("ab )", [AB, BRACKET], [B, AB], [BRACKET], [LINE]) == {"right"}
    assert followed("ab )", [AB, BRACKET], [B, AB], [BRACKET], [LINE, A]) == {"right", "wrong"}
    assert followed("ab )", [AB, BRACKET], [B, AB], [A], [LINE]) == {"wrong"}
    assert followed("ab )", [AB], [B, AB], [BRACKET]) == {"open"}  # its end is not predicted
    stop_included = [AB, BRACKET, LINE]  # as drafts of decoding are
    assert followed("ab )", stop_included, [B, AB], [BRACKET], [LINE], [A]) == {"right"}


def test_a_stop_that_is_merged_into_the_last_token_ends_a_right_answer() -> None:
    near = [BRACKET_LINES, BRACKET]
    assert followed("ab )", [AB, BRACKET], [AB], near, [LINE]) == {"right"}
    assert followed("ab )", [AB, BRACKET], [AB], near[::-1], [LINE]) == {"right"}
    assert followed("ab )", [AB, BRACKET], [AB], near, [B]) == {"wrong"}


def test_another_tokenization_of_the_gold_target_leaves_it_open() -> None:
    assert followed("ab )", [AB, BRACKET], [AB, A], [BRACKET], [LINE]) == {"open"}
    # The response itself goes on with the other one; the gold target's own is known.
    assert followed("ab )", [AB, BRACKET], [A, AB], [BRACKET], [LINE]) == {"right"}


def test_a_text_that_may_be_an_equivalent_program_is_open() -> None:
    equal = Spaceless("ab)")
    assert followed("ab )", [AB, BRACKET], [AB], [BRACKET, B], [LINE], can_still_match=equal) == {
        "wrong"
    }
    either = lambda text: text in {"abb", "ab )"}  # noqa: E731
    assert followed("ab )", [AB, BRACKET], [AB], [BRACKET, B], [LINE], can_still_match=either) == {
        "open"
    }


def test_verdicts() -> None:
    state = state_of("ab", [AB])
    assert verdict(state, None) == "open"
    state.append(AB)
    assert verdict(state, None) == "open"
    state.append(B)
    assert verdict(state, None) == "wrong"
    assert verdict(state, lambda text: text == "abb") == "open"
    right = state_of("ab )", [AB, BRACKET])
    for token in (A, B, BRACKET_LINES):
        right.append(token)
    assert verdict(right, None) == "right"
