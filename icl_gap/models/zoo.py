"""The zoo: families of models in several sizes, as data in `zoo.yaml`.

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

from icl_gap.models.spec import ModelSpecBase, OpenAISpec, TransformersSpec
from icl_gap.schema import SizeSource
from icl_gap.specs import Spec, read_spec

Kind = Literal["transformers", "openai"]

_SPECS: Mapping[Kind, type[ModelSpecBase]] = MappingProxyType(
    {"transformers": TransformersSpec, "openai": OpenAISpec}
)
"""Spec class of a zoo model, by its kind."""
_DESCRIPTIONS: Mapping[Kind, str] = MappingProxyType(
    {
        "transformers": "models that run here (no `base_url`)",
        "openai": "models that a server runs (`base_url`)",
    }
)
_FILLED_IN: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
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
"""Keys of a spec that the zoo fills in. Parameters of models that run here are counted instead."""


class Size(Spec):
    """One size of a family; a missing key takes the family's value."""

    model: str
    """Name on the hub, at a server, or of a model that ships."""
    n_params: PositiveInt
    n_params_non_embedding: PositiveInt | None = None
    """Parameters without embeddings and output layer; null if not known."""
    context_length: PositiveInt | None = None
    training_tokens: PositiveInt | None = None
    licence: str | None = None


class Family(Spec):
    """A family of models that differ in size."""

    title: str
    licence: str
    source: str
    kind: Kind = "transformers"
    """Kind of its models."""
    size_source: SizeSource
    context_length: PositiveInt | None = None
    """Context length in tokens."""
    training_tokens: PositiveInt | None = None
    """Number of training tokens that the family's makers state; null where they do not."""
    note: str | None = None
    sizes: dict[str, Size] = Field(min_length=1)
    """Sizes from the smallest to the largest."""


class _Zoo(Spec):
    families: dict[str, Family]


@dataclass(frozen=True, slots=True)
class ZooModel:
    """One size of a family, with the family's values filled in."""

    family: str
    size: str
    """Name in a sweep's `sizes`."""
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
    """Return all families by name."""
    path = Path(__file__).with_name("zoo.yaml")
    return MappingProxyType(read_spec(path, _Zoo).families)


def members(family: str) -> tuple[ZooModel, ...]:
    """Return the models of a family, from the smallest to the largest.

    Args:
        family: The family's name, a key of `zoo()`.
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
    """Return the number of tokens that a model was trained on.

    Args:
        model: Name on the hub, or of a model that ships.

    Returns:
        The number that its makers state; None if they state none, or the zoo lacks the model.
    """
    return _tokens().get(model)


@cache
def _tokens() -> Mapping[str, int | None]:
    every = (each for family in zoo() for each in members(family))
    return MappingProxyType({each.model: each.training_tokens for each in every})


def _with_options(schema: dict[str, Any]) -> None:
    """Add the keys of an entry's models to the schema, so that an error can list them."""
    for kind, spec in _SPECS.items():
        fixed = {*schema["properties"], *_FILLED_IN[kind]}
        schema["properties"] |= {key: {} for key in spec.model_fields if key not in fixed}


class FamilySpec(Spec):
    """Sizes of a family of the zoo, each of which is a model of the sweep.

    All other keys are those of models (`dtype`, `shots`, …), and apply to each of them. With a
    `base_url`, a server runs the models, and their tokenizers come from the hub.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_options)
    renamed: ClassVar[Mapping[str, str]] = {
        old: new for spec in _SPECS.values() for old, new in spec.renamed.items()
    }

    kind: Literal["zoo"] = "zoo"
    family: str
    sizes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Sizes to run; by default all."""

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

    def models(self) -> tuple[ModelSpecBase, ...]:
        """Return the models of this entry, in the order of `sizes`.

        Raises:
            ValidationError: A size or an option is not possible.
        """
        have = {each.size: each for each in members(self.family)}
        names = tuple(have) if self.sizes is None else self.sizes
        _check_sizes(names, tuple(have))
        return tuple(self._model(have[name], alone=len(names) == 1) for name in names)

    def _model(self, each: ZooModel, *, alone: bool) -> ModelSpecBase:
        options = self.model_extra or {}
        kind: Kind = "openai" if "base_url" in options else each.kind
        if "model" in options:
            raise ValueError("a family defines its models itself: leave `model` out")
        if not alone and options.get("name") is not None:
            raise ValueError("`name` would give several models one name: pick one of the `sizes`")
        known = {"kind": kind} | {field: getattr(each, field) for field in _FILLED_IN[kind]}
        if kind != each.kind:
            known["tokenizer"] = each.model
        _check_options(options, kind)
        return _SPECS[kind].model_validate({**known, **options})


def _check_options(options: Collection[str], kind: Kind) -> None:
    fields = _SPECS[kind].model_fields
    for other, spec in _SPECS.items():
        for key in options:
            if key in spec.model_fields and key not in fields:
                meant, found = _DESCRIPTIONS[other], _DESCRIPTIONS[kind]
                raise ValueError(f"`{key}` is for {meant}, and not for {found}")


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


def expand(entry: ModelSpecBase | FamilySpec) -> tuple[ModelSpecBase, ...]:
    """Return the models that an entry of a sweep stands for."""
    return entry.models() if isinstance(entry, FamilySpec) else (entry,)
