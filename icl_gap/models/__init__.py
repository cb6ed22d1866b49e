"""Models: their specs, their identities, and the backends that get responses from them.

`identify` and `load_tokenizer` need no torch; `load_model` imports it for models with weights.
"""

from __future__ import annotations

from icl_gap.models.backend import Backend, Footprint
from icl_gap.models.base import Model, Outcome, PaidModel, Request, RequestId, Tokenizer
from icl_gap.models.baselines.mock import MockSpec
from icl_gap.models.baselines.nearest_exemplar import NearestExemplarSpec
from icl_gap.models.chat_options import MessageOptions
from icl_gap.models.chat_template import ChatTemplate
from icl_gap.models.embedding import Embedder, EmbedderSpec, find_embedder
from icl_gap.models.family_spec import FamilySpec, expand
from icl_gap.models.hf.random_init import save_random_init
from icl_gap.models.identity import Identity
from icl_gap.models.registry import (
    BACKENDS,
    ModelEntry,
    ModelSpec,
    answering_seconds,
    identify,
    load_model,
    load_tokenizer,
    measure_footprint,
)
from icl_gap.models.spec import OpenAISpec, RandomInitSpec, TransformersSpec

__all__ = [
    "BACKENDS",
    "Backend",
    "ChatTemplate",
    "Embedder",
    "EmbedderSpec",
    "FamilySpec",
    "Footprint",
    "Identity",
    "MessageOptions",
    "MockSpec",
    "Model",
    "ModelEntry",
    "ModelSpec",
    "NearestExemplarSpec",
    "OpenAISpec",
    "Outcome",
    "PaidModel",
    "RandomInitSpec",
    "Request",
    "RequestId",
    "Tokenizer",
    "TransformersSpec",
    "answering_seconds",
    "expand",
    "find_embedder",
    "identify",
    "load_model",
    "load_tokenizer",
    "measure_footprint",
    "save_random_init",
]
