"""What a sweep says of a model: one variant for each kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    ByteSize,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    StrictBool,
    field_validator,
    model_validator,
)

from icl_gap.schema import SizeSource
from icl_gap.specs import Spec

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
DeviceMap = Literal["auto", "balanced", "balanced_low_0", "sequential"]
Quantization = Literal["8bit", "4bit"]
BosPolicy = Literal["tokenizer", "always", "never"]
Architecture = Literal["opt", "bloom", "codegen"]
PromptLogprobs = Literal["auto", "echo", "prompt_logprobs", "none"]
ModelName = Annotated[str, Field(min_length=1)]


class ModelSpecBase(Spec):
    """What every kind of model may say."""

    name: str | None = None
    """What tables and figures call it; by default, the hub name or the folder's name."""
    shots: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """The shots at which this model runs, where they are not the sweep's."""

    @field_validator("shots")
    @classmethod
    def _no_repeats(cls, shots: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if shots is not None and len(set(shots)) < len(shots):
            raise ValueError("a number stands twice: its cells would be the same")
        return shots


class TransformersSpec(ModelSpecBase):
    """A causal language model that `transformers` loads, from a folder or from the hub."""

    renamed: ClassVar[Mapping[str, str]] = {"batch_tokens": "kv_cache_tokens"}

    kind: Literal["transformers"] = "transformers"
    model: str
    """A folder, a name on the hub (`facebook/opt-350m`), or the name of a model that ships with
    the package (`nano-codegen-s`)."""
    revision: str | None = None
    """A branch, tag or commit on the hub; by default its main branch."""
    family: str | None = None
    """Models of one family share a curve; by default what `config.json` calls its family
    (`icl_gap_family`) or else its architecture (`model_type`)."""
    dtype: Dtype = "float32"
    device: str | None = None
    """As torch names it (`cpu`, `cuda:1`); by default a GPU where there is one."""
    device_map: DeviceMap | None = None
    """Spread the weights over the devices at hand, and over the disk, by `accelerate`."""
    max_memory: dict[NonNegativeInt | Literal["cpu"], ByteSize] | None = None
    """The most that weights may take of a GPU, by its number, and of the `cpu`: `{0: 20GiB}`. Other
    devices stay empty, and what is left over is read from the disk at each pass. Needs
    `device_map`."""
    quantization: Quantization | None = None
    """By `bitsandbytes`."""
    trust_remote_code: StrictBool = False
    """Run Python code that comes with the model. Off unless the file says so."""
    bos: BosPolicy = "tokenizer"
    """Whether a prompt starts with the BOS token: as the tokenizer is set, always, or never."""
    kv_cache_tokens: PositiveInt = 8192
    """How many tokens' keys and values are kept in memory at a time; halved where memory runs
    out."""

    @model_validator(mode="after")
    def _one_placement(self) -> Self:
        if self.device is not None and self.device_map is not None:
            raise ValueError("give `device` or `device_map`, not both")
        if self.max_memory is not None and self.device_map is None:
            raise ValueError("`max_memory` needs `device_map`, as `device_map: auto`")
        return self


class RandomInitSpec(ModelSpecBase):
    """A model of a real architecture with random weights, made in memory.

    It shows that a sweep runs. Its scores say nothing, and it is labelled untrained everywhere.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "kind: untrained": "kind: random_init",
        "batch_tokens": "kv_cache_tokens",
    }

    kind: Literal["random_init"] = "random_init"
    family: Architecture = "opt"
    hidden_size: PositiveInt = 64
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    context_length: PositiveInt | None = None
    """In tokens; by default 2048. BLOOM has no limit and takes none."""
    seed: NonNegativeInt = 0
    tokenizer: Path | None = None
    """A folder with `tokenizer.json`, or with `vocab.json` and `merges.txt`; by default one token
    for each byte."""
    kv_cache_tokens: PositiveInt = 8192

    @model_validator(mode="after")
    def _fits_the_architecture(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        if self.family == "bloom" and self.context_length is not None:
            raise ValueError("bloom has no context length (its positions are ALiBi)")
        if self.family == "codegen" and (self.heads % 4 or self.hidden_size // self.heads % 4):
            raise ValueError("codegen needs heads, and hidden_size / heads, to be multiples of 4")
        return self


class NearestExemplarSpec(ModelSpecBase):
    """The baseline that answers with the target of the exemplar most like the query."""

    renamed: ClassVar[Mapping[str, str]] = {"kind: nearest": "kind: nearest_exemplar"}

    kind: Literal["nearest_exemplar"] = "nearest_exemplar"


class MockSpec(ModelSpecBase):
    """A model that answers as written in a file: for tests of whatever runs models."""

    renamed: ClassVar[Mapping[str, str]] = {"kind: scripted": "kind: mock"}

    kind: Literal["mock"] = "mock"
    answers: Path | None = None
    """JSON lines, `{"query_id": …, "text": …}`, or `{"query_id": …, "error": …}` for a request
    that fails."""
    default: str = ""
    """The answer to queries that the file does not name."""
    n_params: NonNegativeInt | None = None
    family: str = "mock"


class Price(Spec):
    """What a server asks for, in dollars per million tokens."""

    prompt: NonNegativeFloat
    completion: NonNegativeFloat


class OpenAISpec(ModelSpecBase):
    """A model behind an OpenAI-compatible completions endpoint.

    Its key comes from the environment, and stands nowhere else.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "kind: api": "kind: openai",
        "tries": "max_attempts",
        "deadline": "timeout",
    }

    kind: Literal["openai"]
    model: str
    """What the server calls it."""
    base_url: str = Field(default="https://api.openai.com/v1", pattern=r"^https?://\S+$")
    """What comes before `/completions`."""
    model_alias: tuple[ModelName, ...] = ()
    """Other names, one or a list, under which the server may say that this model answers: OpenAI
    answers `gpt-4o` as `gpt-4o-2024-08-06`. An answer under any other name is a failure."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key. A server on this machine may need none."""
    allow_plain_http: StrictBool = False
    """Send the key over http to another machine, where the network can read it."""
    concurrency: PositiveInt = 8
    """The most requests under way at a time."""
    timeout: PositiveFloat = 120.0
    """Seconds for a request with all its attempts; one attempt may take half of them."""
    max_attempts: PositiveInt = 8
    """How often a request is sent at most."""
    max_requests: PositiveInt | None = None
    """The most requests of a run, each attempt counted; what is left then fails."""
    max_cost: PositiveFloat | None = None
    """In dollars: when a run has cost as much, what is not yet sent fails."""
    price: Price | None = None
    tokenizer: str | None = None
    """The model's, to measure prompts and to cover gold tokens: a folder, a name on the hub, or the
    name of a model that ships."""
    context_length: PositiveInt | None = None
    """In tokens; it counts where there is a tokenizer."""
    family: str | None = None
    """Models of one family share a curve; by default, the model stands alone."""
    n_params: PositiveInt | None = None
    n_params_non_embedding: PositiveInt | None = None
    size_source: SizeSource = "stated"
    training_tokens: PositiveInt | None = None
    logprobs: PromptLogprobs = "auto"
    """How the server gives the log-probabilities of a prompt: `echo` (with `logprobs`), or
    `prompt_logprobs` (vLLM); `auto` asks it when the model is loaded."""

    @field_validator("model_alias", mode="before")
    @classmethod
    def _one_is_a_list(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            good = bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("no address: http://HOST:PORT/PATH, with a port up to 65535")
        return url

    @model_validator(mode="after")
    def _cost_has_a_price(self) -> Self:
        if self.max_cost is not None and self.price is None:
            raise ValueError("max_cost needs `price: {prompt: …, completion: …}`")
        return self


ModelSpec = Annotated[
    TransformersSpec | RandomInitSpec | NearestExemplarSpec | MockSpec | OpenAISpec,
    Field(discriminator="kind"),
]
"""Any model, told apart by `kind`."""
