"""The zoo: families of models in several sizes, as data in `zoo.yaml`.

A new family is a few lines of that file, and no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from icl_gap.schema import SizeSource
from icl_gap.specs import Spec, read_spec

Kind = Literal["transformers", "openai"]

_SEED = "{seed}"
"""Part of a model's name that stands for its training seed."""
_SEED_SUFFIX = f"-seed{_SEED}"
"""End of such a name, which the model of the family's `default_seed` lacks."""


class Size(Spec):
    """One size of a family; a missing key takes the family's value."""

    model: str
    """Name on the hub, at a server, or of a model that ships; `{seed}` stands for the training seed
    of a family that has `training_seeds`."""
    n_params: PositiveInt
    n_params_non_embedding: PositiveInt | None = None
    """Parameters without embeddings and output layer; null if not known."""
    context_length: PositiveInt | None = None
    training_tokens: PositiveInt | None = None
    training_seeds: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
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
    training_seeds: tuple[NonNegativeInt, ...] | None = Field(default=None, min_length=1)
    """Seeds of its trainings, each of which gives a model of every size."""
    default_seed: NonNegativeInt | None = None
    """Training seed whose models are named without `-seed{seed}`; null where all have it."""
    chat: bool = False
    """Whether its models are tuned to chat."""
    thinking: tuple[str, str] | None = None
    """Text before and after the thoughts of a response; null for models that do not think."""
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
    """Its name; with `{seed}` where `training_seeds` are given."""
    n_params: int
    n_params_non_embedding: int | None
    size_source: SizeSource
    context_length: int | None
    training_tokens: int | None
    licence: str
    training_seeds: tuple[int, ...] | None
    """Seeds of its trainings; None where there is one training."""
    default_seed: int | None
    """Training seed that its name leaves out; None where the name has each."""
    chat: bool
    """Whether it is tuned to chat."""
    thinking: tuple[str, str] | None
    """Text before and after the thoughts of a response; None for a model that does not think."""

    @property
    def listed_name(self) -> str:
        """Name in lists: that of the default seed, or else with `{seed}` in it."""
        return self.model if self.default_seed is None else self.named(self.default_seed)

    def named(self, training_seed: int | None) -> str:
        """Return the name of the model of one training.

        Args:
            training_seed: One of `training_seeds`; None where there are none.
        """
        if training_seed is not None and training_seed == self.default_seed:
            return self.model.removesuffix(_SEED_SUFFIX)
        return self.model.replace(_SEED, "" if training_seed is None else str(training_seed))


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
            training_seeds=size.training_seeds or about.training_seeds,
            default_seed=about.default_seed,
            chat=about.chat,
            thinking=about.thinking,
        )
        for name, size in about.sizes.items()
    )


def find_zoo_model(model: str) -> ZooModel | None:
    """Return what the zoo knows of a model.

    Args:
        model: Name on the hub, or of a model that ships.

    Returns:
        Its size of a family; None if the zoo lacks the model.
    """
    found = _by_name().get(model)
    return None if found is None else found[0]


def named_seed(model: str) -> int | None:
    """Return the training seed of a model that is one of several trainings in the zoo.

    Args:
        model: Name on the hub, or of a model that ships.

    Returns:
        Its seed; None for a model of one training, or that the zoo lacks.
    """
    found = _by_name().get(model)
    return None if found is None else found[1]


def training_tokens(model: str) -> int | None:
    """Return the number of tokens that a model was trained on.

    Args:
        model: Name on the hub, or of a model that ships.

    Returns:
        The number that its makers state; None if they state none, or the zoo lacks the model.
    """
    found = find_zoo_model(model)
    return None if found is None else found.training_tokens


@cache
def _by_name() -> Mapping[str, tuple[ZooModel, int | None]]:
    every = (each for family in zoo() for each in members(family))
    return MappingProxyType(
        {
            each.named(seed): (each, seed)
            for each in every
            for seed in each.training_seeds or (None,)
        }
    )
