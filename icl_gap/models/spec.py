"""Specs of models, as a sweep gives them; those of baselines stand beside their code."""

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
    PrivateAttr,
    StrictBool,
    field_validator,
    model_validator,
)

from icl_gap.models.chat_options import ChatOptions, TemplateOptions
from icl_gap.models.placement import DeviceMap, Dtype, Placement, Precision, Quantization
from icl_gap.schema import ChatLayout, SizeSource
from icl_gap.specs import Spec

_HALF = frozenset({"bfloat16", "float16"})
BosPolicy = Literal["tokenizer", "always", "never"]
Architecture = Literal["opt", "bloom", "codegen"]
PromptLogprobs = Literal["auto", "sglang", "echo", "prompt_logprobs", "none"]
ModelName = Annotated[str, Field(min_length=1)]
_PER_TOKENS = 1_000_000
"""Number of tokens that a price is for."""


class ModelSpecBase(Spec):
    """Keys that models of every kind have."""

    kind: str
    name: str | None = None
    """Name in tables and figures; by default, the name on the hub or of the folder."""
    shots: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """Numbers of shots at which this model runs, where they are not the sweep's."""

    @property
    def placement(self) -> Placement | None:
        """Placement of the weights; None for a model without weights here."""
        return None

    @property
    def chat_layout(self) -> ChatLayout | None:
        """Form of prompts as messages; None where none are sent."""
        return None

    def in_float32(self) -> Self:
        """Return the same model in float32, without quantization."""
        return self

    def having_spent(self, dollars: float) -> Self:
        """Return the same model, of whose `max_cost` some dollars are spent."""
        del dollars
        return self

    @field_validator("shots")
    @classmethod
    def _no_repeats(cls, shots: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if shots is not None and len(set(shots)) < len(shots):
            raise ValueError("a number is listed twice: its cells would be the same")
        return shots


class TransformersSpec(TemplateOptions, ModelSpecBase):
    """A causal language model that `transformers` loads, from a folder or from the hub."""

    renamed: ClassVar[Mapping[str, str]] = {"batch_tokens": "kv_cache_tokens"}
    path_fields: ClassVar[tuple[str, ...]] = ("model",)

    kind: Literal["transformers"] = "transformers"
    model: str
    """Folder, name on the hub (`facebook/opt-350m`), or name of a model that ships with the package
    (`nano-codegen-m`)."""
    gguf: str | None = Field(default=None, min_length=1, pattern=r"^[^/\\][^\\]*$")
    """GGUF file in that folder or repository, which holds weights and tokenizer (extra `gguf`). Its
    sha256 is the model's identity. Quantized weights are unpacked to `dtype`."""
    revision: str | None = None
    """Branch, tag or commit on the hub, by default the main branch; of a folder, the one that it
    holds. It becomes part of the name."""
    training_seed: NonNegativeInt | None = None
    """Seed of its training, of models that differ in it alone; by default the
    `icl_gap_training_seed` of `config.json`, or as the zoo knows it by its name. It becomes part of
    the name."""
    training_tokens: PositiveInt | None = None
    """Number of tokens that it was trained on; by default as the zoo knows it by its name."""
    n_params: PositiveInt | None = None
    """Number of parameters, where those of the files should not count; by default counted."""
    n_params_non_embedding: PositiveInt | None = None
    """The same without embeddings and output layer."""
    family: str | None = None
    """Family, whose models share a curve; by default the `icl_gap_family` of `config.json`; of a
    folder or a GGUF file, the zoo's family of its base model, or the name of that (of itself, where
    none is named) without the size; of a model on the hub, its architecture (`model_type`)."""
    dtype: Dtype = "float32"
    """Precision of the weights and of the computation; `auto` takes that of `config.json`."""
    device: str | None = None
    """Device as torch names it (`cpu`, `cuda:1`); by default a GPU where there is one."""
    device_map: DeviceMap | None = None
    """Strategy by which `accelerate` spreads the weights over all devices and the disk."""
    max_memory: dict[NonNegativeInt | Literal["cpu"], ByteSize] | None = None
    """Most bytes that weights may take of each GPU, by its number, and of the `cpu`: `{0: 20GiB}`.
    Other devices stay empty; the remaining weights are read from the disk at each pass. Needs
    `device_map`."""
    precision: Precision = "plain"
    """`adjudicated` runs in the half precision of `dtype`, and asks again in float32 where rounding
    may have made the verdict, so that all verdicts are those of float32."""
    quantization: Quantization | None = None
    """Quantization of the weights by `bitsandbytes`."""
    trust_remote_code: StrictBool = False
    """Run Python code that comes with the model."""
    bos: BosPolicy = "tokenizer"
    """Policy for the BOS token before a prompt: as the tokenizer is set, always, or never. In a
    chat, the template puts it."""
    kv_cache_tokens: PositiveInt | None = None
    """Number of tokens that the KV cache holds; by default as many as fit 1 GiB, from 8,192 to
    65,536. Halved where memory runs out."""

    @property
    def placement(self) -> Placement:
        """Placement of the weights."""
        return Placement(
            dtype=self.dtype,
            quantization=self.quantization,
            device=self.device,
            device_map=self.device_map,
            max_memory=self.max_memory,
            adjudicated=self.precision == "adjudicated",
        )

    def in_float32(self) -> Self:
        """Return the same model in float32, without quantization."""
        plain = {"dtype": "float32", "quantization": None, "precision": "plain"}
        return self.model_copy(update=plain)

    @model_validator(mode="after")
    def _one_placement(self) -> Self:
        if self.device is not None and self.device_map is not None:
            raise ValueError("give `device` or `device_map`, not both")
        if self.max_memory is not None and self.device_map is None:
            raise ValueError("`max_memory` needs `device_map`, as `device_map: auto`")
        if self.bos != "tokenizer" and self.chat_template != "none":
            raise ValueError("a chat template puts BOS itself: leave `bos` out")
        if self.precision == "adjudicated" and self.dtype not in _HALF:
            raise ValueError("`precision: adjudicated` needs `dtype: bfloat16` or `float16`")
        if self.precision == "adjudicated" and (self.quantization or self.device_map):
            raise ValueError(
                "`precision: adjudicated` holds the weights in two precisions on one device: leave "
                "`quantization` and `device_map` out"
            )
        if self.precision == "adjudicated" and self.chat_template != "none":
            raise ValueError("chats are decoded to their ends: leave `precision: adjudicated` out")
        if self.gguf is not None and self.quantization is not None:
            raise ValueError("weights of a GGUF file are unpacked: leave `quantization` out")
        if self.gguf is not None and ".." in self.gguf.split("/"):
            raise ValueError("`gguf` names a file inside the folder or repository: leave `..` out")
        return self


class RandomInitSpec(ModelSpecBase):
    """A model of a real architecture with random weights, made in memory.

    It shows that a sweep runs. Its scores mean nothing, and every table labels it untrained.
    """

    path_fields: ClassVar[tuple[str, ...]] = ("tokenizer",)
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
    """Context length in tokens; by default 2048. BLOOM has no limit, and takes none."""
    seed: NonNegativeInt = 0
    tokenizer: Path | None = None
    """Folder with `tokenizer.json`, or with `vocab.json` and `merges.txt`; by default, each byte is
    a token."""
    kv_cache_tokens: PositiveInt | None = None
    """Number of tokens that the KV cache holds; by default as many as fit 1 GiB, from 8,192 to
    65,536. Halved where memory runs out."""

    @property
    def placement(self) -> Placement:
        """Placement of the weights: float32, on a GPU where there is one."""
        return Placement()

    @model_validator(mode="after")
    def _fits_the_architecture(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError("hidden_size must be a multiple of heads")
        if self.family == "bloom" and self.context_length is not None:
            raise ValueError("bloom has no context length (its positions are ALiBi)")
        if self.family == "codegen" and (self.heads % 4 or self.hidden_size // self.heads % 4):
            raise ValueError("codegen needs heads, and hidden_size / heads, to be multiples of 4")
        return self


class Price(Spec):
    """Price of a server, in dollars per million tokens."""

    prompt: NonNegativeFloat
    completion: NonNegativeFloat

    def dollars(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the price of some tokens in dollars."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / _PER_TOKENS


class OpenAISpec(ChatOptions, ModelSpecBase):
    """A model behind an OpenAI-compatible endpoint, of completions or of chats.

    The key is read from the environment, and is written nowhere.
    """

    path_fields: ClassVar[tuple[str, ...]] = ("tokenizer",)
    renamed: ClassVar[Mapping[str, str]] = {
        "kind: api": "kind: openai",
        "tries": "max_attempts",
        "deadline": "timeout",
    }

    kind: Literal["openai"]
    model: str
    """Name of the model at the server."""
    base_url: str = Field(default="https://api.openai.com/v1", pattern=r"^https?://\S+$")
    """Address up to `/completions` or `/chat/completions`."""
    model_alias: tuple[ModelName, ...] = ()
    """Other names, one or a list, that the server's responses may give this model: OpenAI names
    `gpt-4o` as `gpt-4o-2024-08-06`. A response under any other name is a failure."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key. A server on this machine may need none."""
    allow_plain_http: StrictBool = False
    """Send the key over http to another machine, where the network can read it."""
    concurrency: PositiveInt = 8
    """Most requests in flight at a time."""
    timeout: PositiveFloat = 120.0
    """Seconds for a request with all its attempts; one attempt may take half of them."""
    max_attempts: PositiveInt = 8
    """Most times that a request is sent."""
    max_requests: PositiveInt | None = None
    """Most requests of a run, each attempt counted; requests beyond them fail."""
    max_cost: PositiveFloat | None = None
    """Most dollars that the model may cost in a results folder, over all runs; requests that are
    not sent by then fail."""
    price: Price | None = None
    """Dollars per million tokens of prompts, and of responses with the thinking before them:
    `{prompt: 0.15, completion: 0.6}`."""
    tokenizer: str | None = None
    """Tokenizer of the model, to measure prompts and to cover gold tokens: a folder, a name on the
    hub, or the name of a model that ships."""
    context_length: PositiveInt | None = None
    """Context length in tokens; used where there is a tokenizer."""
    family: str | None = None
    """Family, whose models share a curve; by default, the model has a curve of its own."""
    n_params: PositiveInt | None = None
    n_params_non_embedding: PositiveInt | None = None
    size_source: SizeSource = "stated"
    training_tokens: PositiveInt | None = None
    revision: str | None = None
    """Branch, tag or commit of the weights that the server runs. It becomes part of the name."""
    training_seed: NonNegativeInt | None = None
    """Seed of its training, of models that differ in it alone. It becomes part of the name."""
    logprobs: PromptLogprobs = "auto"
    """Way in which the server gives the log-probabilities of a prompt: SGLang's own `/generate`
    (`sglang`), `echo` (with `logprobs`), or `prompt_logprobs` (vLLM). `auto` finds out when the
    model is loaded."""
    _spent: float = PrivateAttr(default=0.0)

    @property
    def spent(self) -> float:
        """Dollars of `max_cost` that earlier runs have spent."""
        return self._spent

    def having_spent(self, dollars: float) -> Self:
        """Return the same model, of whose `max_cost` some dollars are spent."""
        found = self.model_copy()
        found._spent = dollars  # noqa: SLF001 (its own class)
        return found

    @field_validator("model_alias", mode="before")
    @classmethod
    def _one_is_a_list(cls, names: object) -> object:
        return (names,) if isinstance(names, str) else names

    @field_validator("model", "base_url")
    @classmethod
    def _is_printable(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("holds a character that cannot be printed")
        return text

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            good = bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("not an address: http://HOST:PORT/PATH, with a port up to 65535")
        return url

    @model_validator(mode="after")
    def _cost_has_a_price(self) -> Self:
        if self.max_cost is not None and self.price is None:
            raise ValueError("max_cost needs `price: {prompt: …, completion: …}`")
        return self
