"""Entries of a sweep that name families of the zoo."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticKnownError

from icl_gap.models.spec import ModelName, ModelSpecBase, OpenAISpec, TransformersSpec
from icl_gap.models.zoo import Kind, ZooModel, members, zoo
from icl_gap.specs import Spec

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


_CHECKPOINTS = ("revisions", "training_seeds")


def _with_options(schema: dict[str, Any]) -> None:
    """Add the keys of an entry's models to the schema, so that an error can list them."""
    for kind, spec in _SPECS.items():
        fixed = {*schema["properties"], *_FILLED_IN[kind]}
        schema["properties"] |= {key: {} for key in spec.model_fields if key not in fixed}


class FamilySpec(Spec):
    """Sizes of a family of the zoo, each of which is a model of the sweep.

    With `revisions` or `training_seeds`, each of these of each size is a model. All other keys are
    those of models (`dtype`, `shots`, …), and apply to each of them. With a `base_url`, a server
    runs the models, and their tokenizers come from the hub.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=_with_options)
    renamed: ClassVar[Mapping[str, str]] = {
        old: new for spec in _SPECS.values() for old, new in spec.renamed.items()
    }

    kind: Literal["zoo"] = "zoo"
    family: str
    sizes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Sizes to run; by default all."""
    revisions: Annotated[tuple[ModelName, ...], Field(min_length=1)] | None = None
    """Branches, tags or commits on the hub, each of which is a model (`NAME@REVISION`)."""
    training_seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None = None
    """Training seeds to run, of a family whose models differ in it (`polypythias`,
    `nano-codegen`); by default all."""

    @field_validator("family")
    @classmethod
    def _is_known(cls, family: str) -> str:
        if family not in zoo():
            raise PydanticKnownError("literal_error", {"expected": ", ".join(zoo())})
        return family

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out lists of checkpoints that the entry does not give."""
        return {k: v for k, v in dump(self).items() if v is not None or k not in _CHECKPOINTS}

    @model_validator(mode="after")
    def _makes_models(self) -> Self:
        self.models()
        return self

    def models(self) -> tuple[ModelSpecBase, ...]:
        """Return the models of this entry, in the order of `sizes`, then of seeds and revisions.

        Raises:
            ValidationError: A size, a seed or an option is not possible.
        """
        have = {each.size: each for each in members(self.family)}
        names = tuple(have) if self.sizes is None else self.sizes
        _check_listed("sizes", names, tuple(have))
        checkpoints = tuple(
            (have[name], seed, revision)
            for name in names
            for seed, revision in product(self._seeds(have[name]), self._revisions())
        )
        alone = len(checkpoints) == 1
        return tuple(
            self._model(each, seed, revision, alone=alone) for each, seed, revision in checkpoints
        )

    def _seeds(self, each: ZooModel) -> tuple[int | None, ...]:
        """Return the training seeds to run of a size; None alone for one with one training."""
        known, chosen = each.training_seeds, self.training_seeds
        if known is None:
            if chosen is None:
                return (None,)
            have = ", ".join(name for name, about in zoo().items() if about.training_seeds)
            raise ValueError(
                f"the models of {self.family} have one training each: leave `training_seeds` out,"
                f" or name a family with several ({have})"
            )
        if "training_seed" in (self.model_extra or {}):
            raise ValueError(f"{self.family} has several trainings: name them by `training_seeds`")
        _check_listed("training_seeds", chosen or (), known)
        return chosen or known

    def _revisions(self) -> tuple[str | None, ...]:
        """Return the revisions to run; None alone where they are not listed."""
        if self.revisions is None:
            return (None,)
        options = self.model_extra or {}
        if "revision" in options:
            raise ValueError("give `revision` or `revisions`, not both")
        if "base_url" in options:
            raise ValueError("a server runs one revision of a model: name it by `revision`")
        _check_listed("revisions", self.revisions, self.revisions)
        return self.revisions

    def _model(
        self, each: ZooModel, seed: int | None, revision: str | None, *, alone: bool
    ) -> ModelSpecBase:
        options = self.model_extra or {}
        kind: Kind = "openai" if "base_url" in options else each.kind
        for key in ("model", "gguf"):
            if key in options:
                raise ValueError(f"a family defines its models itself: leave `{key}` out")
        if not alone and options.get("name") is not None:
            raise ValueError("`name` would give several models one name: pick one of the `sizes`")
        if not alone and options.get("n_params") is not None:
            raise ValueError(
                "`n_params` would give several models one size: pick one of the `sizes`"
            )
        known = {"kind": kind} | {field: getattr(each, field) for field in _FILLED_IN[kind]}
        known["model"] = each.named(seed)
        if seed is not None:
            known["training_seed"] = seed
        if revision is not None:
            known["revision"] = revision
        if kind != each.kind:
            known["tokenizer"] = known["model"]
        _check_options(options, kind)
        if kind == "transformers" and each.chat:
            known["chat_template"] = "auto"
        return _SPECS[kind].model_validate({**known, **options})


def _check_options(options: Collection[str], kind: Kind) -> None:
    fields = _SPECS[kind].model_fields
    for other, spec in _SPECS.items():
        for key in options:
            if key in spec.model_fields and key not in fields:
                meant, found = _DESCRIPTIONS[other], _DESCRIPTIONS[kind]
                raise ValueError(f"`{key}` is for {meant}, and not for {found}")


def _check_listed(key: str, chosen: Sequence[object], allowed: Sequence[object]) -> None:
    for place, value in enumerate(chosen):
        if value in chosen[:place]:
            raise ValueError(f"duplicate cells: `{key}` names {value} twice")
        if value not in allowed:
            fault: InitErrorDetails = {
                "type": "literal_error",
                "loc": (key, place),
                "input": value,
                "ctx": {"expected": ", ".join(map(str, allowed))},
            }
            raise ValidationError.from_exception_data("FamilySpec", [fault])


def expand(entry: ModelSpecBase | FamilySpec) -> tuple[ModelSpecBase, ...]:
    """Return the models that an entry of a sweep stands for."""
    return entry.models() if isinstance(entry, FamilySpec) else (entry,)
