"""The table of backends, and the functions that pass a spec on to its backend."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from icl_gap.errors import ModelError
from icl_gap.models.backend import Backend, Footprint
from icl_gap.models.base import Model, Tokenizer
from icl_gap.models.baselines.mock import MockBackend
from icl_gap.models.baselines.nearest_exemplar import NearestExemplarBackend
from icl_gap.models.family_spec import FamilySpec
from icl_gap.models.hf.memory import format_bytes, memory_fit
from icl_gap.models.hf.random_init import RandomInitBackend
from icl_gap.models.hf.transformers_backend import TransformersBackend
from icl_gap.models.identity import Identity, checkpoint_name
from icl_gap.models.server.openai_backend import OpenAIBackend
from icl_gap.models.spec import ModelSpecBase
from icl_gap.progress import said_if_slow

_log = logging.getLogger(__name__)

BACKENDS: Mapping[str, Backend[Any]] = MappingProxyType(
    {
        "transformers": TransformersBackend(),
        "random_init": RandomInitBackend(),
        "nearest_exemplar": NearestExemplarBackend(),
        "mock": MockBackend(),
        "openai": OpenAIBackend(),
    }
)
"""Backends by the `kind` of their models. A new backend is a module and a line here."""

if TYPE_CHECKING:
    from icl_gap.models.hf.engine.trie import TokenCounts

    ModelSpec = ModelSpecBase
else:
    ModelSpec = Annotated[
        Union[tuple(each.spec_class for each in BACKENDS.values())],  # noqa: UP007 (made at run time)
        Field(discriminator="kind"),
    ]
    """A model of any kind."""

ModelEntry = Annotated[ModelSpec | FamilySpec, Field(discriminator="kind")]
"""An entry of a sweep: a model, or a family of models."""


def identify(spec: ModelSpec) -> Identity:
    """Identify a model, without torch and without reading weights into memory.

    Files are hashed, so the identity of a folder stays when it moves. The small files of a model on
    the hub are fetched.

    Args:
        spec: The model.

    Raises:
        ModelError: The model does not exist, or some of its files are missing.
    """
    try:
        with said_if_slow(_log, f"reading {_entry_name(spec)}"):
            found = BACKENDS[spec.kind].identify(spec)
    except OSError as error:
        raise ModelError(
            f"cannot read the model's files: {error.strerror}", value=str(error.filename)
        ) from error
    checkpoint = checkpoint_name(
        found.name, revision=found.revision, training_seed=found.training_seed
    )
    return replace(found, name=spec.name or checkpoint, key={"kind": spec.kind, **found.key})


def load_tokenizer(spec: ModelSpec, identity: Identity) -> Tokenizer | None:
    """Load a model's tokenizer, with torch only where the model has no `tokenizer.json`.

    Args:
        spec: The model.
        identity: The result of `identify`.

    Returns:
        The tokenizer; None for a model without one.

    Raises:
        ModelError: The tokenizer is missing or cannot be read.
    """
    return BACKENDS[spec.kind].tokenizer(spec, identity)


def measure_footprint(spec: ModelSpec, identity: Identity) -> Footprint | None:
    """Measure the memory and computation that a model takes, without loading its weights.

    Args:
        spec: The model.
        identity: The result of `identify`.

    Returns:
        The footprint; None for a model whose weights do not run here.

    Raises:
        ModelError: The configuration describes no model that can be made.
    """
    with said_if_slow(_log, f"measuring {identity.name}"):
        return BACKENDS[spec.kind].footprint(spec, identity)


def answering_seconds(spec: ModelSpec, identity: Identity, sizes: TokenCounts) -> float | None:
    """Estimate the time that a model takes here to answer some requests, once it is loaded.

    A pass is timed on one and on three of its layers, with random weights, in about a second.

    Args:
        spec: The model.
        identity: The result of `identify`.
        sizes: Token counts of the requests.

    Returns:
        Seconds; None for a model whose weights do not run here.

    Raises:
        ModelError: The configuration describes no model that can be made, or this machine lacks its
            device.
    """
    with said_if_slow(_log, f"timing a pass of {identity.name}"):
        return BACKENDS[spec.kind].answering_seconds(spec, identity, sizes)


def load_model(spec: ModelSpec, identity: Identity) -> Model:
    """Load a model, ready to respond.

    Args:
        spec: The model.
        identity: The result of `identify`.

    Raises:
        ModelError: The model does not fit in memory, or cannot be loaded as the spec says.
    """
    try:
        footprint = measure_footprint(spec, identity)
        fit = None if footprint is None else memory_fit(footprint)
    except ModelError:  # loading explains better what is wrong
        fit = None
    if fit is not None:
        fit.check(identity.name)
    size = "" if fit is None else f", {format_bytes(fit.weights)} in memory"
    source = "" if identity.folder is None else f" from {identity.folder}"
    with said_if_slow(_log, f"loading {identity.name}{source}{size}"):
        return BACKENDS[spec.kind].load(spec, identity)


def _entry_name(spec: ModelSpecBase) -> str:
    return str(spec.name or getattr(spec, "model", spec.kind))
