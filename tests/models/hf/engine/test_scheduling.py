"""The engine against the library's own `generate`: same answers, whatever is shared."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import torch
from asking import numbered
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import END, PAPERS, SHARING, bpe, build_tiny, word_marking
from tokenizers import Tokenizer

from icl_gap.errors import InferenceError, PromptError
from icl_gap.models import Request
from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.hf.engine.runner_choice import choose_runner
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.engine.tokenization import FIRST_CHUNK
from icl_gap.models.hf.tokenizer import TextTokenizer, rust_codec
from icl_gap.models.reasoning import split_reasoning
from icl_gap.models.stopping import check_stop
from icl_gap.schema import Completion, Example, FinishReason, Prompt, Response

ALL = (*SHARING, "falcon", "mamba")
MERGES = [
    ("a", "b"),
    ("ab", "a"),
    ("b", "c"),
    (".", "\u010a"),
    ("\u010a", "\u010a"),
    ("\u0120", "a"),
    ("\u0120a", "b"),
    ("c", "\u010a"),
]
TEXT = st.text(st.sampled_from("abc. \n"), min_size=1, max_size=24)
MOST_BYTES = 10


class Reference:
    """`generate`, one prompt at a time, without padding, cut where the engine says answers end."""

    def __init__(self, model: Any, tokenizer: TextTokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.model.generation_config.eos_token_id = None
        self.known: dict[tuple[str, str], Completion] = {}

    def answer(self, text: str, stop: str) -> Completion:
        if (text, stop) not in self.known:
            self.known[text, stop] = self._answer(text, stop)
        return self.known[text, stop]

    def _answer(self, text: str, stop: str) -> Completion:
        prompt = torch.tensor([self.tokenizer.encode_prompt(text)])
        out = self.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            max_new_tokens=MOST_BYTES + len(stop) + 1,
            pad_token_id=0,
        )
        new = out[0, prompt.shape[1] :].tolist()
        for n, token in enumerate(new):
            if token in self.tokenizer.eos:
                return Completion(self.tokenizer.decode(new[:n]), "eos")
            done = check_stop(
                self.tokenizer.decode(new[: n + 1]), stop=stop, max_new_bytes=MOST_BYTES
            )
            if done is not None:
                return done
        return Completion(self.tokenizer.decode(new), "length")

    def whole(self, text: str, most: int) -> tuple[str, FinishReason]:
        """The response up to EOS or a number of tokens."""
        prompt = torch.tensor([self.tokenizer.encode_prompt(text)])
        mask = torch.ones_like(prompt)
        out = self.model.generate(
            prompt, attention_mask=mask, do_sample=False, max_new_tokens=most, pad_token_id=0
        )
        new = out[0, prompt.shape[1] :].tolist()
        end = next((n for n, token in enumerate(new) if token in self.tokenizer.eos), None)
        return self.tokenizer.decode(new[:end]), "length" if end is None else "eos"

    def gold_logprob(self, text: str, gold: str) -> float:
        ids = self.tokenizer.encode_prompt(text + gold)
        start = self.tokenizer.prompt_length(text)
        assert ids[:start] == self.tokenizer.encode_prompt(text)
        with torch.inference_mode():
            logprobs = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        chosen = [logprobs[n - 1, ids[n]] for n in range(start, len(ids))]
        return float(sum(chosen) / len(chosen))


def text_tokenizer(rust: Tokenizer, *, bos: bool = False) -> TextTokenizer:
    end = rust.token_to_id(END)
    return TextTokenizer(rust_codec(rust), (end,) if bos else (), frozenset({end}))


def engine(model: Any, tokenizer: TextTokenizer, kv_cache_tokens: int, **changes: Any) -> Engine:
    settings: dict[str, Any] = {
        "name": "tiny",
        "runner": choose_runner(model),
        "tokenizer": tokenizer,
        "context_length": None,
        "kv_cache_tokens": kv_cache_tokens,
        "pass_tokens": 64,
    }
    return Engine(**{**settings, **changes})


Made = tuple[Reference, list[Engine]]


@cache
def made(architecture: str) -> Made:
    """A model's reference, and its engine under three budgets."""
    rust = bpe(MERGES)
    model, tokenizer = build_tiny(architecture, rust), text_tokenizer(rust)
    engines = [engine(copy.deepcopy(model), tokenizer, n) for n in (1, 40, 8192)]
    return Reference(model, tokenizer), engines


def request(text: str, gold: str, stop: str = "\n", group: str = "", **more: Any) -> Request:
    exemplars = (Example(group, "", ""),) if group else ()
    return Request(Prompt(text, "", exemplars, text), gold, stop, MOST_BYTES, **more)


def outcomes(tested: Engine, requests: Sequence[Request], predictions: Any) -> list[Any]:
    requests = numbered(requests)
    found = dict(tested.respond(requests, predictions, None))
    assert found.keys() == {request.id for request in requests}
    return [found[request.id] for request in requests]


@st.composite
def cases(draw: st.DrawFn) -> list[tuple[str, str, str, str]]:
    """Prompts that share beginnings, how the gold answer relates to the model's, stop, group."""
    heads = draw(st.lists(TEXT, min_size=1, max_size=2))
    kinds = st.sampled_from(["same", "same", "same but for spaces", "longer", "other", "empty"])
    return draw(
        st.lists(
            st.tuples(
                st.tuples(st.sampled_from(heads), st.text("ab\n ", max_size=4)).map("".join),
                kinds,
                st.sampled_from(["\n", "\n\n", ".", "ab"]),
                st.sampled_from("xy"),
            ),
            min_size=1,
            max_size=6,
        )
    )


def gold_of(kind: str, answer: str) -> str:
    """A gold answer that stands in a certain relation to the model's."""
    return {
        "same": answer,
        "same but for spaces": f" {answer.strip()} ",
        "longer": f"{answer}a",
        "other": " ab cab",
        "empty": "",
    }[kind]


def check(tested: Engine, reference: Reference, some: list[tuple[str, str, str, str]]) -> None:
    """Full answers and verdicts are those of `generate`."""
    expected = [reference.answer(text, stop) for text, _, stop, _ in some]
    requests = [
        request(text, gold_of(kind, answer.text), stop, group)
        for (text, kind, stop, group), answer in zip(some, expected, strict=True)
    ]
    full = outcomes(tested, requests, "full")
    assert [answer.completion for answer in full] == expected
    verdicts = outcomes(tested, requests, "verdict")
    for verdict, whole, each, answer in zip(verdicts, full, requests, expected, strict=True):
        right = answer.text.strip() == each.gold.strip()
        assert (verdict.divergence is None) == (whole.divergence is None) == right
        assert verdict.completion == (answer if right else verdict.completion)
        if verdict.divergence is not None:
            assert (answer.text + each.stop).startswith(verdict.divergence.text)
    alone = [dataclasses.replace(each, likelihood=False) for each in requests]
    for predictions, before in (("full", full), ("verdict", verdicts)):
        found = outcomes(tested, alone, predictions)
        assert [each.gold_logprob for each in found] == [None] * len(found)
        assert [_without_measures(each) for each in found] == list(map(_without_measures, before))


def _without_measures(response: Response) -> Response:
    return dataclasses.replace(response, gold_logprob=None, seconds=0.0)


@pytest.mark.parametrize("architecture", ALL)
def test_who_shares(architecture: str) -> None:
    assert made(architecture)[1][0].runner.shares_prefixes == (architecture in SHARING)


@pytest.mark.parametrize("architecture", ALL)
@settings(max_examples=20)
@given(some=cases())
def test_answers_are_those_of_generate(
    architecture: str, some: list[tuple[str, str, str, str]]
) -> None:
    reference, engines = made(architecture)
    for each in engines:
        check(each, reference, some)


@pytest.mark.parametrize("likelihood", [True, False])
def test_an_answer_may_end_within_a_token(likelihood: bool) -> None:
    """The stop and what stands before it are one token, which the gold target does not have."""
    reference, engines = made("llama")
    codec, found = reference.tokenizer, 0
    for text in map("".join, itertools.product("abc. ", repeat=3)):
        answer, end = reference.answer(text, "\n"), codec.decode([])
        prompt = codec.encode_prompt(text)
        out = reference.model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=8, pad_token_id=0
        )
        for token in out[0, len(prompt) :].tolist():
            piece = codec.decode([token])
            end += piece
            if "\n" in piece:
                break
        if "\n" not in piece[1:] or end.partition("\n")[0] != answer.text:
            continue  # no stop, or one that is a token of its own
        found += 1
        gold = codec.encode_prompt(text + answer.text)
        assert out[0, len(prompt) : len(gold)].tolist() != gold[len(prompt) :]
        for each in engines:
            asked = [request(text, answer.text, likelihood=likelihood)]
            (verdict,) = outcomes(each, asked, "verdict")
            assert verdict.divergence is None
            assert verdict.completion == answer
    assert found


CHAT = ChatTemplate("", {}, {}, ("ab", "c"), 4)


@pytest.mark.parametrize("architecture", ["llama", "opt", "falcon"])
@settings(max_examples=15)
@given(some=cases(), predictions=st.sampled_from(["full", "verdict"]))
def test_chats_are_decoded_to_their_ends_whatever_the_gold_target(
    architecture: str, some: list[tuple[str, str, str, str]], predictions: str
) -> None:
    """No stop string ends them, and the budget of memory changes nothing."""
    reference, engines = made(architecture)
    texts = [text for text, _, _, _ in some]
    most = MOST_BYTES + 2 + CHAT.extra_tokens
    expected = [reference.whole(text, most) for text in texts]
    requests = [
        request(text, gold_of(kind, answer[0]), group=group, extra_tokens=CHAT.extra_tokens)
        for (text, kind, _, group), answer in zip(some, expected, strict=True)
    ]
    for each in engines:
        tested = dataclasses.replace(each, chat_template=CHAT)
        found = outcomes(tested, requests, predictions)
        for text, answer, (written, end) in zip(texts, found, expected, strict=True):
            opened = text.rstrip().endswith("ab")
            said, reasoning = split_reasoning(written, ("ab", "c"), opened=opened)
            assert (answer.completion, answer.reasoning) == (Completion(said, end), reasoning)
            assert answer.divergence is None


def test_the_time_of_a_pass_is_shared_by_its_requests() -> None:
    tested, runner = watched("opt", fails=lambda *_: time.sleep(0.05))
    requests = numbered(request(text, " ab", group=text[0]) for text in [*TEXTS, TEXTS[0]])
    began = time.perf_counter()
    found = [each for _, each in tested.respond(requests, "full", None)]
    elapsed = time.perf_counter() - began
    seconds = [each.seconds for each in found]
    assert 0.05 * len(runner.passes) <= sum(seconds) <= elapsed
    assert min(seconds) >= 0.05 / len(TEXTS) / 2
    assert max(seconds) < elapsed / 2


LETTER_PAIRS = st.tuples(*[st.sampled_from(("a", "b", ".", "\u0120", "\u010a"))] * 2)


@st.composite
def merge_lists(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Merges of letters, then of what these give."""
    merges = draw(st.lists(LETTER_PAIRS, max_size=6, unique_by="".join))
    for _ in range(draw(st.integers(0, 4)) if merges else 0):
        pair = tuple("".join(draw(st.sampled_from(merges))) for _ in range(2))
        if "".join(pair) not in {"".join(m) for m in merges}:
            merges.append(pair)
    return merges


@pytest.mark.parametrize("architecture", PAPERS)
@settings(max_examples=25)
@given(
    merges=merge_lists(),
    seed=st.integers(0, 1000),
    bos=st.booleans(),
    budget=st.integers(1, 60),
    some=cases(),
)
def test_answers_are_those_of_generate_for_any_weights_and_tokenizer(
    architecture: str,
    merges: list[tuple[str, str]],
    seed: int,
    bos: bool,
    budget: int,
    some: list[tuple[str, str, str, str]],
) -> None:
    rust = bpe(merges)
    model, tokenizer = build_tiny(architecture, rust, seed=seed), text_tokenizer(rust, bos=bos)
    reference = Reference(copy.deepcopy(model), tokenizer)
    check(engine(model, tokenizer, budget), reference, some)


@pytest.mark.parametrize("architecture", ALL)
def test_the_gold_answers_likelihood(architecture: str) -> None:
    reference, engines = made(architecture)
    golds = [(text, gold) for text in ("a b", "a b\nc", "c.") for gold in (" ab", " ba c")]
    for each in engines:
        found = outcomes(each, [request(*pair) for pair in golds], "verdict")
        for (text, gold), answer in zip(golds, found, strict=True):
            assert answer.gold_logprob == pytest.approx(
                reference.gold_logprob(text, gold), abs=1e-4
            )
            assert answer.gold_tokens == len(reference.tokenizer.encode(gold))


def test_an_empty_gold_answer_has_no_likelihood() -> None:
    (answer,) = outcomes(made("opt")[1][0], [request("a b", "")], "verdict")
    assert (answer.gold_logprob, answer.gold_tokens) == (None, None)


@given(some=cases(), wanted=st.sets(st.integers(0, 5)))
@settings(max_examples=20)
def test_only_what_is_wanted_is_answered_and_to_the_same_bits(
    some: list[tuple[str, str, str, str]], wanted: set[int]
) -> None:
    tested = made("opt")[1][1]
    requests = numbered(request(text, " ab", stop, group) for text, _, stop, group in some)
    everything = outcomes(tested, requests, "verdict")
    places = wanted & set(range(len(some)))
    found = dict(tested.respond(requests, "verdict", {requests[n].id for n in places}))
    assert found == {requests[n].id: everything[n] for n in places}


def never(tokens: int, segments: Any) -> None:
    del tokens, segments


class Watched:
    """A runner that counts, and fails as told.

    Args:
        runner: The one that runs.
        fails: Given the tokens of a pass, what it fails with.
    """

    def __init__(self, runner: Any, fails: Any = never) -> None:
        self.shares_prefixes = runner.shares_prefixes
        self.passes: list[int] = []
        self._runner = runner
        self._fails = fails

    def run(self, segments: Any, cache: Any) -> Any:
        tokens = sum(segment.new for segment in segments)
        if error := self._fails(tokens, segments):
            raise error
        self.passes.append(tokens)
        return self._runner.run(segments, cache)


def watched(
    architecture: str, kv_cache_tokens: int = 8192, **changes: Any
) -> tuple[Engine, Watched]:
    plain = made(architecture)[1][0]
    runner = Watched(plain.runner, **changes)
    settings = {
        "runner": runner,
        "kv_cache_tokens": kv_cache_tokens,
        "pass_tokens": kv_cache_tokens,
    }
    return dataclasses.replace(plain, **settings), runner


TEXTS = [head + tail for head in ("a b c. ", "c c ba") for tail in ("a", "bc", ". ab", "\nb")]


def test_each_token_of_a_trie_is_computed_once() -> None:
    tested, runner = watched("codegen")
    texts = [*TEXTS, TEXTS[0]]  # one prompt twice
    requests = [request(text, " ab", group=text[0]) for text in texts]
    outcomes(tested, requests, "verdict")
    paths = {tuple(tested.tokenizer.encode_prompt(q.prompt.text + q.gold)) for q in requests}
    prefixes = {path[:n] for path in paths for n in range(1, len(path) + 1)}
    # The last token of a prompt is computed with what follows it, for each prompt anew.
    again = len(paths) * 2
    assert len(prefixes) <= runner.passes[0] <= len(prefixes) + again


def test_a_gold_target_is_computed_only_as_far_as_the_response_equals_it() -> None:
    """Unless its likelihood is wanted, which takes all of it."""
    tested, runner = watched("codegen")
    requests = [request(text, " bacbacba", group=text[0]) for text in TEXTS]
    wrong = [each.divergence for each in outcomes(tested, requests, "verdict")]
    assert all(each is not None and each.position < FIRST_CHUNK for each in wrong)
    whole = sum(runner.passes)
    alone = [dataclasses.replace(each, likelihood=False) for each in requests]
    assert [each.divergence for each in outcomes(tested, alone, "verdict")] == wrong
    gold = len(tested.tokenizer.encode(" bacbacba"))
    assert whole - (sum(runner.passes) - whole) == len(TEXTS) * (gold - FIRST_CHUNK)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("predictions", ["verdict", "full"])
def test_a_lack_of_memory_halves_the_budget_and_changes_no_answer(
    error: Exception, predictions: str
) -> None:
    requests = [request(text, " ab", group=text[0]) for text in TEXTS]
    expected = outcomes(made("opt")[1][2], requests, predictions)
    tested, runner = watched("opt", fails=lambda tokens, _: error if tokens > 25 else None)
    found = outcomes(tested, requests, predictions)
    assert max(runner.passes) <= 25
    for answer, other in zip(found, expected, strict=True):
        assert answer.kv_cache_tokens < 60
        assert answer.completion == other.completion
        assert answer.divergence == other.divergence
        assert answer.gold_logprob == pytest.approx(other.gold_logprob, abs=1e-5)


def test_a_lack_of_memory_while_one_request_is_decoded_narrows_its_guesses() -> None:
    reference = made("opt")[0]
    text = max(TEXTS, key=lambda text: len(reference.answer(text, "\0").text))
    expected = reference.answer(text, "\0")
    assert len(expected.text) > 8

    def fails(tokens: int, segments: Any) -> Exception | None:
        decoding = segments[0].logits_to_keep > 1 and segments[0].new == segments[0].logits_to_keep
        return MemoryError() if decoding and tokens > 1 else None

    tested, runner = watched("opt", fails=fails)
    (answer,) = outcomes(tested, [request(text, "", "\0")], "full")
    assert answer.completion == expected
    assert answer.kv_cache_tokens == 1
    assert runner.passes.count(1) > 2


def test_a_lack_of_memory_for_one_request_alone_is_its_failure() -> None:
    def fails(tokens: int, segments: Any) -> Exception | None:
        del tokens
        return MemoryError() if any(len(each.tokens) > 20 for each in segments) else None

    tested, _ = watched("opt", fails=fails)
    requests = [request(text, "") for text in ("a b", "b" * 30, "c")]
    one, long, other = outcomes(tested, requests, "full")
    assert isinstance(long, InferenceError)
    assert str(long) == f"tiny failed on {'b' * 30}: out of memory, even by itself"
    assert isinstance(one, Response)
    assert isinstance(other, Response)


def test_a_failure_is_that_of_its_request_alone_and_never_an_empty_answer() -> None:
    bad = made("opt")[0].tokenizer.encode("c")[0]

    def fails(tokens: int, segments: Any) -> Exception | None:
        del tokens
        broken = any(each.tokens[0] == bad for each in segments)
        return RuntimeError("a broken kernel\nmore") if broken else None

    tested, _ = watched("opt", fails=fails)
    found = outcomes(tested, [request(text, " ab") for text in TEXTS], "full")
    for text, outcome in zip(TEXTS, found, strict=True):
        if text.startswith("c"):
            assert isinstance(outcome, InferenceError)
            assert str(outcome) == f"tiny failed on {text}: RuntimeError: a broken kernel"
        else:
            assert isinstance(outcome, Response)


def test_a_judge_that_fails_fails_its_own_request() -> None:
    def broken(text: str) -> bool:
        raise ValueError(text)

    reference, engines = made("opt")
    place = max(range(len(TEXTS)), key=lambda n: len(reference.answer(TEXTS[n], "\0").text))
    requests = [request(text, "b" * 9, "\0", can_still_match=lambda _: True) for text in TEXTS]
    requests[place] = request(TEXTS[place], "b" * 9, "\0", can_still_match=broken)
    found = outcomes(engines[2], requests, "verdict")
    assert [n for n, each in enumerate(found) if isinstance(each, InferenceError)] == [place]


@pytest.mark.parametrize("architecture", PAPERS)
def test_answers_that_outgrow_the_budget_are_computed_again(architecture: str) -> None:
    """Whatever the budget: keys and values of answers on their way stay within it."""
    reference, engines = made(architecture)
    # With nothing expected of them, no room is set aside for answers.
    requests = [request(text, "", "\0") for text in TEXTS]
    plain = dataclasses.replace(engines[2], kv_cache_tokens=70)
    runner = Watched(plain.runner)
    found = outcomes(dataclasses.replace(plain, runner=runner), requests, "full")
    assert [each.completion for each in found] == [reference.answer(t, "\0") for t in TEXTS]
    prompts = [reference.tokenizer.prompt_length(text) for text in TEXTS]
    # A path computed again shows as a pass that is longer than any guess.
    again = [tokens for tokens in runner.passes[1:] if tokens > max(prompts)]
    assert again


def test_other_requests_beside_it_change_nothing_of_a_response() -> None:
    for architecture in PAPERS:
        _, engines = made(architecture)
        requests = [request(text, gold) for text in TEXTS for gold in (" ab", " ba c", " a")]
        for each in engines:
            together = outcomes(each, requests, "verdict")
            for one, answer in zip(requests, together, strict=True):
                (alone,) = outcomes(each, [one], "verdict")
                assert answer.divergence == alone.divergence
                assert answer.completion == alone.completion
                assert answer.gold_logprob == pytest.approx(alone.gold_logprob, abs=1e-5)


@settings(max_examples=25)
@given(seed=st.integers(0, 300), some=cases())
def test_answers_are_those_of_generate_with_a_tokenizer_that_marks_words(
    seed: int, some: list[tuple[str, str, str, str]]
) -> None:
    """As Llama's: a space is put before a text, and dropped from the first token decoded."""
    rust = word_marking()
    model, tokenizer = build_tiny("llama", rust, seed=seed), text_tokenizer(rust)
    reference = Reference(copy.deepcopy(model), tokenizer)
    check(engine(model, tokenizer, 60), reference, some)


def test_an_answer_that_may_still_count_is_followed_and_no_other() -> None:
    reference, engines = made("opt")
    judged: list[str] = []

    def can_still_match(text: str) -> bool:
        judged.append(text)
        return len(text) < 6

    requests = [request(text, " ab", can_still_match=can_still_match) for text in TEXTS]
    for plain, followed in zip(
        outcomes(
            engines[2], [dataclasses.replace(q, can_still_match=None) for q in requests], "verdict"
        ),
        outcomes(engines[2], requests, "verdict"),
        strict=True,
    ):
        assert followed.divergence == plain.divergence
        assert followed.gold_logprob == plain.gold_logprob
    assert judged
    for text in TEXTS:
        (answer,) = outcomes(
            engines[0], [request(text, " ab", can_still_match=can_still_match)], "verdict"
        )
        whole = reference.answer(text, "\n")
        if len(whole.text) < 6:  # never without it, so followed to its end
            assert answer.completion == whole
    surely = outcomes(
        engines[2], [request(t, " ab", can_still_match=lambda _: True) for t in TEXTS], "verdict"
    )
    assert [a.completion for a in surely] == [reference.answer(text, "\n") for text in TEXTS]


def test_a_gold_answer_beyond_the_context_is_cut_and_has_no_likelihood() -> None:
    reference, engines = made("opt")
    tested = dataclasses.replace(engines[2], context_length=12)
    prompt = "a b c. "
    room = 12 - reference.tokenizer.prompt_length(prompt)
    (answer,) = outcomes(tested, [request(prompt, " " + "bca" * 12)], "full")
    assert answer.gold_logprob is None
    assert answer.divergence is not None
    assert reference.answer(prompt, "\n").text.startswith(answer.completion.text)
    assert len(tested.tokenizer.encode(answer.completion.text)) <= room


def test_a_prompt_of_another_length_than_planned_is_a_failure() -> None:
    reference, engines = made("opt")
    n = len(reference.tokenizer.encode_prompt("a b"))
    right = request("a b", " ab", tokens=n)
    wrong = request("a b ", " ab", tokens=n)
    found, error = outcomes(engines[2], [right, wrong], "verdict")
    assert isinstance(found, Response)
    assert isinstance(error, PromptError)
    assert f"{n}, as planned" in str(error)
