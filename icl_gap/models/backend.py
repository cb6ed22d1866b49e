"""The protocol of a backend: all that the package needs of one kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from icl_gap.models.base import Model, Tokenizer
from icl_gap.models.identity import Identity
from icl_gap.models.placement import Placement
from icl_gap.models.spec import ModelSpecBase

if TYPE_CHECKING:
    from icl_gap.models.hf.engine.trie import TokenCounts

SpecT = TypeVar("SpecT", bound=ModelSpecBase)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory and computation that a model takes where it runs, known before its weights load."""

    n_params: int
    """All parameters, shared ones once."""
    non_embedding: int
    """Parameters without embeddings and output layer."""
    layers: int
    width: int
    """Size of the hidden states."""
    attention_width: int
    """Number of heads times their size."""
    key_width: int
    """Number of key-value heads times their size."""
    vocabulary: int
    """Number of tokens that the output layer predicts."""
    weights: int | None
    """Bytes of the weights, of an adjudicated model's both copies; None where they are quantized on
    disk, in one of many formats."""
    kv_cache_tokens: int
    """Tokens whose keys and values are kept at a time."""
    keys_and_values: int
    """Bytes of the KV cache of these tokens."""
    dtype: str
    """Precision of the computation, as torch names it."""
    placement: Placement

    def operations(self, sizes: TokenCounts) -> float:
        """Return the floating-point operations of checking the gold answers of some requests.

        Each token takes two for each parameter (Kaplan et al. 2020, arXiv 2001.08361, section 2.1)
        and, in each layer, four for each token that it attends to and each unit of attention
        width. Each predicted token adds the output layer. All experts of a mixture are counted.

        Args:
            sizes: Token counts of the requests.
        """
        return (
            2.0 * self.non_embedding * sizes.computed
            + 4.0 * self.layers * self.attention_width * sizes.attended
            + 2.0 * self.width * self.vocabulary * sizes.predicted
        )


class Backend(Protocol[SpecT]):
    """A way to get responses from one kind of model.

    `identify` does without torch, so that a sweep is checked quickly. The model that `load` returns
    responds to requests.
    """

    spec_class: type[SpecT]
    """The spec of its models, with a `kind` of its own."""

    def identify(self, spec: SpecT) -> Identity:
        """Return all that is known of a model before it loads; see `icl_gap.models.identify`.

        Args:
            spec: The model. Its `name` and `kind` are filled in afterwards.

        Raises:
            ModelError: The model does not exist, or some of its files are missing.
            OSError: A file cannot be read.
        """

    def tokenizer(self, spec: SpecT, identity: Identity) -> Tokenizer | None:
        """Return the model's tokenizer; None for a model without one, as by default.

        Raises:
            ModelError: The tokenizer is missing or cannot be read.
        """
        del spec, identity
        return None

    def footprint(self, spec: SpecT, identity: Identity) -> Footprint | None:
        """Return the model's footprint; None, as by default, where no weights run here.

        Raises:
            ModelError: The configuration describes no model that can be made.
        """
        del spec, identity
        return None

    def answering_seconds(
        self, spec: SpecT, identity: Identity, sizes: TokenCounts
    ) -> float | None:
        """Estimate the time to answer; None, as by default, where no weights run here.

        Raises:
            ModelError: The configuration describes no model that can be made, or this machine lacks
                its device.
        """
        del spec, identity, sizes
        return None

    def load(self, spec: SpecT, identity: Identity) -> Model:
        """Load the model, ready to respond.

        Raises:
            ModelError: The model cannot be loaded as the spec says.
        """
