"""Records: values that stages of the program pass on and keep on disk as JSON.

All are frozen and slotted. They have no behaviour beyond what follows from their values. `Record`
and `CellInfo` are the schema of results: readers, writers and the columns of frames derive from
their fields.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from icl_gap.html_table import html_table
from icl_gap.text import brief

Split = Literal["train", "test"]
Condition = Literal["id", "ood", "ood_matched"]
"""Exemplars of a query: from its own side, from the other, or from the other and such that they
cover the query as its ID exemplars do."""
FinishReason = Literal["stop", "eos", "length"]
Status = Literal["scored", "skipped", "failed"]
SizeSource = Literal["counted", "stated", "estimated"]
"""Source of a number of parameters: counted in the weights, stated by the model's authors, or
estimated by others."""
Predictions = Literal["verdict", "full"]
"""How far a response is decoded: until it is known whether it is right, or to its end."""
ServerApi = Literal["completions", "chat"]
"""Endpoint of a server: one that continues a text, or one that answers messages."""
LogprobsSource = Literal["sglang", "echo", "prompt_logprobs", "none", "unstable"]
"""Way in which a server gives the log-probabilities of a prompt: by SGLang's own endpoint, by one
of two options of completions, or not at all. `unstable`: it gives values that depend on the
requests before, and that are not used."""
Role = Literal["system", "user", "assistant"]
AnswerRule = Literal["first_line", "last_line", "after_label", "fenced", "regex"]
"""Way in which the answer is found in a chat response; see `icl_gap.prompts.extract_answer`."""
AnswerProblem = Literal["truncated", "ran on", "no answer", "refused", "filtered"]
"""Reason of a chat response without an answer that counts; see `Record.reason`."""
Withheld = Literal["refused", "filtered"]
"""Reason for which a chat response is no answer: the model refused, or a content filter stopped
it."""
ANSWER_MARK = "####"
"""Mark before the final answer in solutions of the form of GSM8K."""

Metric = Literal["raw", "canonical", "execution"]
"""A way in which a prediction can match its target; see `Score` and `icl_gap.metrics`."""
FigureForm = Literal["web", "print"]
"""Form of a figure: for screens, or for a page of paper; see `icl_gap.plots.figure_form`."""
ScaleKey = Literal["n_params", "n_params_non_embedding", "training_tokens", "training_flops"]
"""Scales that a gap can be fitted against; see `icl_gap.analysis.scaling.scale`."""

SCHEMA_VERSION = 5
"""Version of the files in a results folder; a change that alters a key or a field raises it."""


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """Annotation of a field of `Record` or `CellInfo`: its column in frames of results."""

    name: str | None = None
    """The column's name; None for the field's own."""
    in_frame: bool = True
    """True if frames of results have the column."""
    categorical: bool = False
    """True if few different texts are expected, as of a `Literal`."""
    incidental: bool = False
    """True if it may differ between two runs of one request; comparisons leave it out."""


_INCIDENTAL = FrameColumn(incidental=True)
_NOT_IN_FRAME = FrameColumn(in_frame=False)


@dataclass(frozen=True, slots=True)
class Example:
    """A source utterance and its target program."""

    id: str
    """Unique within a benchmark, the same in all its splits, e.g. `scan-1204`."""
    source: str
    target: str
    target_id: str | None = None
    """The id of the example that the target is taken from, where it is another's."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark under one of its splits (`mcd1`), both sides of it in memory."""

    name: str
    split: str
    train: Sequence[Example]
    test: Sequence[Example]
    fingerprint: str
    """sha256 over the ids, sources and targets of both sides, in order."""
    partial: str | None = None
    """Part of the published split that is here (`test 9741 of 11968, …`); None if it is whole."""

    def examples(self, split: Split) -> Sequence[Example]:
        """Return the examples of one side."""
        return self.train if split == "train" else self.test

    def __repr__(self) -> str:
        sizes = f"train {len(self.train):,}, test {len(self.test):,}"
        return brief("Benchmark", f"{self.name}/{self.split}", sizes, self.fingerprint[:12])

    def _repr_html_(self) -> str:
        sides: tuple[Split, ...] = get_args(Split)
        rows = [
            {"side": side, "examples": f"{len(self.examples(side)):,}"}
            | {"first source": each.source, "first target": each.target}
            for side in sides
            for each in self.examples(side)[:1]
        ]
        partial = f", partial: {self.partial}" if self.partial else ""
        caption = f"{self.name}/{self.split}{partial}"
        return html_table(caption, rows, left=("side", "first source", "first target"))


@dataclass(frozen=True, slots=True)
class Exemplars:
    """The exemplars of one query, in prompt order; k shots are the first k of them."""

    query: Example
    examples: tuple[Example, ...]
    coverage: tuple[float, ...]
    """Entry k is the share of the query's primitives that the first k exemplars hold; length
    `len(examples) + 1`."""
    matched: tuple[bool, ...] | None = None
    """Under `ood_matched`: whether the first 0, 1, … exemplars cover the query as those of its ID
    twin do (`icl_gap.sampling.matching`)."""

    def first(self, shots: int) -> Exemplars:
        """Return the same query with its first exemplars.

        Raises:
            ValueError: There are fewer exemplars than that.
        """
        if shots > len(self.examples):
            raise ValueError(f"{shots} shots requested, {len(self.examples)} drawn")
        matched = None if self.matched is None else self.matched[: shots + 1]
        return Exemplars(self.query, self.examples[:shots], self.coverage[: shots + 1], matched)

    def __repr__(self) -> str:
        return brief("Exemplars", self.query.id, f"{len(self.examples)} drawn")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ChatLayout:
    """The form of a prompt as messages."""

    exemplars: Literal["turns", "text"] = "turns"
    """Each exemplar as a message of the user and one of the assistant, or all as one text."""
    system: str | None = None
    """The system message; None for the template's instruction."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The part of a request that a model sees. It holds no trace of the gold target."""

    query_id: str
    source: str
    exemplars: tuple[Example, ...]
    text: str
    messages: tuple[Message, ...] = ()
    """The same as messages, for models that may take a chat; empty for others."""

    @property
    def shots(self) -> int:
        """Number of exemplars in the text."""
        return len(self.exemplars)

    @property
    def sha256(self) -> str:
        """sha256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode(errors="surrogatepass")).hexdigest()

    @property
    def messages_sha256(self) -> str:
        """sha256 of the messages as JSON, a list of pairs of role and content; in hexadecimal."""
        pairs = [(each.role, each.content) for each in self.messages]
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Completion:
    """A decoded answer."""

    text: str
    """The text up to the stop, without it."""
    finish_reason: FinishReason
    """`stop`: the stop string came; `eos`: the model ended by itself; `length`: cut at a length
    that no right answer reaches."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first token with which an answer can no longer become the gold answer.

    An answer that was cut before it could differ has neither an expected nor an actual token.
    """

    position: int
    """Number of tokens before it."""
    expected: str | None
    """The gold answer's token, as the model's tokenizer cuts it; None where the answer should have
    ended."""
    actual: str | None
    """The model's token; None where it ended its answer (EOS)."""
    text: Annotated[str, _NOT_IN_FRAME]
    """The answer before it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one request, from the server that answered it."""

    prompt_tokens: int
    completion_tokens: int
    """Tokens of the response, those of thinking included."""
    reasoning_tokens: int | None = None
    """Those of thinking among them; None where the server does not tell."""
    cached_tokens: int | None = None
    """Tokens of the prompt that the server had in its cache; None where it does not tell."""

    def __add__(self, other: Usage) -> Usage:
        """Return the tokens of two requests together."""
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            _total(self.reasoning_tokens, other.reasoning_tokens),
            _total(self.cached_tokens, other.cached_tokens),
        )


def _total(one: int | None, other: int | None) -> int | None:
    """Return the sum of two counts; None if neither is known."""
    return None if one is None and other is None else (one or 0) + (other or 0)


@dataclass(frozen=True, slots=True)
class Response:
    """The result of a request that a model has answered."""

    completion: Completion | None
    """None if the answer is known to be wrong and was not decoded to its end."""
    divergence: Divergence | None = None
    """None if the answer is the gold answer, and for models that do not decode."""
    gold_logprob: float | None = None
    """Mean log-probability of the gold answer's tokens, its stop left out; nats a token. None for
    models without probabilities, for an empty gold answer, for one that does not fit, and where it
    is not wanted."""
    gold_tokens: int | None = None
    """Number of these tokens; None where they are not known, and for a gold answer that does not
    fit."""
    kv_cache_tokens: int | None = None
    """Capacity of the KV cache, where memory ran out under the one that the model's entry sets."""
    rounding_bound: float | None = None
    """The bound of rounding errors, in logits, within which half precision's verdict is that of
    float32. None if the verdict was not adjudicated, or is float32's own."""
    usage: Usage | None = None
    """Token counts of a server, over all its requests for this response."""
    served_model: str | None = None
    """The model that a server says has answered; None if it names none."""
    reasoning: str | None = None
    """The reasoning before the response, where the server or the model sets it apart."""
    withheld: Withheld | None = None
    """Reason for which this is no answer, as the server says."""
    seconds: float | None = field(default=None, compare=False)
    """Time that it took: of each pass of the model, an equal share to each of its requests. None
    where it is not measured."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Description of a loaded model."""

    name: str
    family: str
    n_params: int | None
    """All parameters, shared ones once; None where there are none (a baseline)."""
    n_params_non_embedding: int | None
    """Without token and position embeddings and without the output layer."""
    context_length: int | None
    """In tokens; None where there is no limit."""
    trained: bool = True
    """False for weights straight from the initializer."""
    size_source: SizeSource = "counted"
    """Source of the numbers of parameters."""
    training_tokens: int | None = None
    """Number of tokens it was trained on; None if unknown."""
    device: str = "cpu"
    shares_prefixes: bool | None = None
    """True if tokens that requests share are computed once; None for a model without tokens."""
    api: ServerApi | None = None
    """Endpoint of its server; None for a model that runs here."""
    chat: bool = False
    """True if it responds to messages: at a server, or here by a chat template."""
    left_out: tuple[str, ...] = ()
    """Parameters that the server refuses, and that its requests are therefore sent without."""
    prompt_logprobs: LogprobsSource | None = None
    """Source of verdicts on a server; None for a chat, and for a model that runs here."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one prediction: exact match, and match of the results of execution."""

    raw: bool
    """The strings are equal, apart from white space around them."""
    canonical: bool
    """Both have the same normal form; implied by `raw`."""
    reason: str | None = None
    """Why raw and canonical differ, or why neither holds; None if the strings are equal."""
    execution: bool | None = None
    """Both give the same result when they are run; implied by `canonical`. None if the benchmark's
    programs cannot be run, or their database is not at hand."""

    @property
    def outcomes(self) -> dict[Metric, bool]:
        """The outcome of each metric that is known."""
        found = {metric: getattr(self, metric) for metric in get_args(Metric)}
        return {metric: outcome for metric, outcome in found.items() if outcome is not None}


@dataclass(frozen=True, slots=True)
class ChatResponse:
    """A whole chat response, beside the answer that was extracted from it."""

    text: str
    """The response without reasoning."""
    reasoning: str | None
    """The reasoning before it, where the server or the model sets it apart."""
    strict_raw: bool
    """Raw match of the whole text with the target."""
    strict_canonical: bool
    strict_execution: bool | None


@dataclass(frozen=True, slots=True)
class Record:
    """The outcome of one request; one line of a cell's file."""

    query_id: Annotated[str, FrameColumn(categorical=True)]
    exemplar_ids: tuple[str, ...]
    shots: Annotated[int, FrameColumn(name="shots_effective")]
    """Exemplars that the prompt holds, after `drop_shots`."""
    coverage: float
    """Share of the query's primitives that its exemplars hold, in [0, 1]."""
    prompt_sha256: str
    """sha256 of the prompt's text, or of its messages in a chat."""
    prompt_tokens: int | None
    """None where the model has no tokenizer, and for messages to a server."""
    status: Status
    """`skipped`: the prompt did not fit the context, and the sweep says to skip such queries.
    `failed`: there is no response, for the `reason` given."""
    matched: bool | None = None
    """Under `ood_matched`: whether its exemplars cover the query as those of its ID twin do, within
    the tolerance of `icl_gap.sampling.matching`; None under the other conditions."""
    exemplar_target_ids: tuple[str, ...] | None = None
    """The ids of the examples that the exemplars' targets are taken from, where they are others'
    (`control: shuffled_targets`); None where each exemplar shows its own."""
    prediction: str | None = None
    """The model's answer; None where it is wrong and was not decoded to its end (see
    `divergence`), and where none can be extracted from a chat response."""
    finish_reason: FinishReason | None = None
    scores: Mapping[Metric, bool] = field(default_factory=dict)
    """Outcome of each metric that is known, empty unless `scored`. `canonical` is unknown where
    only more decoding could tell and the sweep does not ask for it (`canonical: false`),
    `execution` where only the whole answer could tell and it was not decoded to its end
    (`predictions: verdict`), and for benchmarks whose programs are not run."""
    reason: Annotated[str | None, FrameColumn(categorical=True)] = None
    """Why raw and canonical match differ or fail (see `Score`), or why the request failed. Of chat
    responses also: `truncated`, the bound of tokens came while the model was still thinking; `ran
    on`, it came after the answer had begun; `no answer`, the rule finds none; `refused`, the model
    declined to answer; `filtered`, a content filter withheld the answer."""
    divergence: Divergence | None = None
    gold_logprob: float | None = None
    """Mean log-probability of the gold answer's tokens, to four decimals; nats a token."""
    gold_tokens: int | None = None
    seconds: Annotated[float, _INCIDENTAL] = 0.0
    """Time of the request: its shares of the passes that it was computed in; on a server, the wall
    time since the record before."""
    kv_cache_tokens: Annotated[int | None, _INCIDENTAL] = None
    """Capacity of the KV cache, where memory ran out and it was halved."""
    rounding_bound: Annotated[float | None, _INCIDENTAL] = None
    """Bound of rounding errors, in logits, within which the verdict of half precision is that of
    float32 (`precision: adjudicated`). None where the request was asked in float32."""
    usage: Annotated[Usage | None, _INCIDENTAL] = None
    """Tokens as a server counted them."""
    served_model: Annotated[str | None, _INCIDENTAL] = None
    """The model that a server says has answered: the requested one, or an alias."""
    chat: ChatResponse | None = None
    """The whole response of a chat, whose extracted answer is the `prediction` that `scores` are
    about; None for a completion, all of which is the prediction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellInfo:
    """The description of a cell; the first line of its file."""

    key: Annotated[str, FrameColumn(name="cell")]
    """sha256 of everything that can change a result: see `spec`."""
    model: str
    family: str
    n_params: int | None
    n_params_non_embedding: int | None
    size_source: SizeSource = "counted"
    training_tokens: int | None = None
    training_seed: int | None = None
    """Seed of its training, where several models differ in it alone; None if it is not given."""
    revision: str | None = None
    """Branch, tag or commit of its weights; None if it is not given."""
    trained: bool
    dataset: str
    split: str
    """The benchmark's split, e.g. `mcd1`."""
    partial: str | None
    """The part of the published split that was used, where it was not whole."""
    query_split: Split
    condition: Condition
    shots: int
    seed: int
    n_queries: Annotated[int, _NOT_IN_FRAME]
    """Number of queries that the sweep has; in a file, number of its records."""
    spec: Annotated[dict[str, Any], _NOT_IN_FRAME]
    """All that went into `key`, in full: dataset fingerprint, model identity, sampler, template."""
    provenance: Annotated[dict[str, Any], _NOT_IN_FRAME] = field(default_factory=dict)
    """What should not change a result, and is kept to trace it: package versions, device, commit,
    parameter counts, start time."""
    n_complete: Annotated[int | None, _NOT_IN_FRAME] = None
    """In a file, how many queries, from the first in query order, have a record without a gap; None
    where the file holds no others."""
    schema_version: Annotated[int, _NOT_IN_FRAME] = SCHEMA_VERSION
    """The version that the cell's file is written in."""

    def covers(self, n_queries: int) -> bool:
        """Return whether a file with this description holds the first `n_queries` queries."""
        return n_queries <= (self.n_queries if self.n_complete is None else self.n_complete)


@dataclass(frozen=True, slots=True)
class CellResult:
    """A finished cell: its description and one record per query, in query order."""

    info: CellInfo
    records: tuple[Record, ...]

    def __repr__(self) -> str:
        info = self.info
        at = f"{info.model} on {info.dataset}/{info.split}"
        return brief("CellResult", info.key[:12], at, f"{len(self.records):,} records")
