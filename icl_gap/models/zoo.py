"""The zoo: families of models by their sizes, as data in `zoo.yaml`; entries that name them.

A new family is a few lines of that file, and no code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticKnownError

from icl_gap.models.spec import ModelSpec, ModelSpecBase, OpenAISpec, TransformersSpec
from icl_gap.schema import SizeSource
from icl_gap.specs import Spec, read_spec

Kind = Literal["transformers", "openai"]

_SPECS: Mapping[Kind, type[ModelSpecBase]] = MappingProxyType(
    {"transformers": TransformersSpec, "openai": OpenAISpec}
)
"""What a size becomes, by its kind."""
_RUN: Mapping[Kind, str] = MappingProxyType(
    {
        "transformers": "models that run here (no `base_url`)",
        "openai": "models that a server runs (`base_url`)",
    }
)
_TELLS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {
        "transformers": ("model", "family"),
        "openai": (
            "model",
            "family",
            "n_params",
            "n_params_non_embedding",
            "size_source",
            "training_tokens",
            "context_length",
        ),
    }
)
"""What the zoo tells such a spec. What is counted in loaded weights needs no telling."""


class Size(Spec):
    """One size of a family; what it leaves out is as its family says."""

    model: str
    """Its name on the hub, at an API, or of a model that ships."""
    n_params: PositiveInt
    n_params_non_embedding: PositiveInt | None = None
    """Without token and position embeddings and without the output layer; null if not known."""
    context_length: PositiveInt | None = None
    training_tokens: PositiveInt | None = None
    licence: str | None = None


class Family(Spec):
    """A family of models that differ in size."""

    title: str
    licence: str
    source: str
    kind: Kind = "transformers"
    """How its models are run."""
    size_source: SizeSource
    context_length: PositiveInt | None = None
    """In tokens."""
    training_tokens: PositiveInt | None = None
    """As stated by those who trained it; null where they do not say."""
    note: str | None = None
    sizes: dict[str, Size] = Field(min_length=1)
    """From the smallest to the largest."""


class _Zoo(Spec):
    families: dict[str, Family]


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One size of a family, with all that is known of it."""

    family: str
    size: str
    """As a sweep's `sizes` names it."""
    kind: Kind
    model: str
    n_params: int
    n_params_non_embedding: int | None
    size_source: SizeSource
    context_length: int | None
    training_tokens: int | None
    licence: str


@cache
def zoo() -> Mapping[str, Family]:
    """All families by their names."""
    path = Path(__file__).with_name("zoo.yaml")
    return MappingProxyType(read_spec(path, _Zoo).families)


def members(family: str) -> tuple[ZooModel, ...]:
    """The models of a family, from the smallest to the largest.

    Args:
        family: Its name, one of `zoo()`.
    """
    about = zoo()[family]
    return tuple(
        ZooModel(
            family=family,
            size=name,
            kind=about.kind,
            model=size.model,
            n_params=size.n_params,
            n_params_non_embedding=size.n_params_non_embedding,
            size_source=about.size_source,
            context_length=size.context_length or about.context_length,
            training_tokens=size.training_tokens or about.training_tokens,
            licence=size.licence or about.licence,
        )
        for name, size in about.sizes.items()
    )


def training_tokens(model: str) -> int | None:
    """How many tokens a model was trained on.

    Args:
        model: Its name on the hub, or of one that ships.

    Returns:
        What its makers state; None where they do not, or the zoo does not have the model.
    """
    return _tokens().get(model)


@cache
def _tokens() -> Mapping[str, int | None]:
    every = (each for family in zoo() for each in members(family))
    return MappingProxyType({each.model: each.training_tokens for each in every})


def _with_options(schema: dict[str, Any]) -> None:
    """Name the keys that an entry's models may have, for who wrote one that they may not."""
    for kind, spec in _SPECS.items():
        told = {*schema["properties"], *_TELLS[kind]}
        schema["properties"] |= {key: {} for key in spec.model_fields if key not in told}


class FamilySpec(Spec):
    """Sizes of a family of the zoo, each a model of the sweep.

    All other keys are those of the models themselves (`dtype`, `shots`, …), and go to each of them.
    With a `base_url`, a server runs them, whose tokenizers are those of the hub.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_options)
    renamed: ClassVar[Mapping[str, str]] = {
        old: new for spec in _SPECS.values() for old, new in spec.renamed.items()
    }

    kind: Literal["zoo"] = "zoo"
    family: str
    sizes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """By default all."""

    @field_validator("family")
    @classmethod
    def _is_known(cls, family: str) -> str:
        if family not in zoo():
            raise PydanticKnownError("literal_error", {"expected": ", ".join(zoo())})
        return family

    @model_validator(mode="after")
    def _makes_models(self) -> Self:
        self.models()
        return self

    def models(self) -> tuple[ModelSpec, ...]:
        """The models of this entry, from the smallest to the largest unless it orders them.

        Raises:
            ValidationError: A size or an option is not possible.
        """
        have = {each.size: each for each in members(self.family)}
        names = tuple(have) if self.sizes is None else self.sizes
        _check_sizes(names, tuple(have))
        return tuple(self._model(have[name], alone=len(names) == 1) for name in names)

    def _model(self, each: ZooModel, *, alone: bool) -> ModelSpec:
        options = self.model_extra or {}
        kind: Kind = "openai" if "base_url" in options else each.kind
        if "model" in options:
            raise ValueError("a family says itself what its models are: leave `model` out")
        if not alone and options.get("name") is not None:
            raise ValueError("`name` would name several models alike: pick one of the `sizes`")
        told = {"kind": kind} | {field: getattr(each, field) for field in _TELLS[kind]}
        if kind != each.kind:
            told["tokenizer"] = each.model
        _check_options(options, kind)
        made: Any = _SPECS[kind].model_validate({**told, **options})
        model: ModelSpec = made
        return model


def _check_options(options: Collection[str], kind: Kind) -> None:
    fields = _SPECS[kind].model_fields
    for other, spec in _SPECS.items():
        for key in options:
            if key in spec.model_fields and key not in fields:
                raise ValueError(f"`{key}` is for {_RUN[other]}, and not for {_RUN[kind]}")


def _check_sizes(names: Sequence[str], allowed: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"duplicate cells: `sizes` names {name} twice")
        if name not in allowed:
            fault: InitErrorDetails = {
                "type": "literal_error",
                "loc": ("sizes", place),
                "input": name,
                "ctx": {"expected": ", ".join(allowed)},
            }
            raise ValidationError.from_exception_data("FamilySpec", [fault])


ModelEntry = Annotated[ModelSpec | FamilySpec, Field(discriminator="kind")]
"""What an entry of a sweep says: a model, or a family of them."""


def expand(entry: ModelSpec | FamilySpec) -> tuple[ModelSpec, ...]:
    """The models that an entry of a sweep stands for."""
    return entry.models() if isinstance(entry, FamilySpec) else (entry,)
