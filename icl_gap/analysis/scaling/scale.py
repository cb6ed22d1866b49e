"""Scales that a gap is fitted against: parameters, training tokens, training compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from icl_gap.analysis.points import GapPoint, Setting
from icl_gap.schema import ScaleKey

ESTIMATED = "its size is only estimated"


@dataclass(frozen=True, slots=True)
class Scale:
    """A number that describes a model; fits use its logarithm."""

    key: ScaleKey
    label: str
    """Noun phrase for a sentence: `ten times the training tokens`."""
    steps: str
    """Noun for several values of it."""
    short: str
    """Noun for the end of a short line: `per 10x size`."""
    of: Callable[[Setting], float | None]
    """Return the value of a model; None if it is unknown."""
    lacking: str
    """Reason why a model has no value."""
    of_size: bool = True
    """True if it follows from the number of parameters, which may be an estimate."""

    def why_not(self, point: GapPoint, *, estimated_sizes: bool) -> str | None:
        """Return the reason why a fit cannot use a point; None if it can.

        Args:
            point: The point.
            estimated_sizes: Accept numbers of parameters that are estimates.
        """
        if not point.trained:
            return "untrained"
        if self.of(point) is None:
            return self.lacking
        if self.of_size and point.size_source == "estimated" and not estimated_sizes:
            return ESTIMATED
        return None


def training_flops(setting: Setting) -> float | None:
    """Return the floating-point operations of a model's training, C = 6 N D.

    N is the number of parameters outside embeddings, D the number of training tokens (Kaplan et al.
    2020, arXiv 2001.08361, section 2.1; Hoffmann et al. 2022, arXiv 2203.15556, appendix F).
    """
    size, tokens = setting.n_params_non_embedding, setting.training_tokens
    return None if size is None or tokens is None else 6.0 * size * tokens


SCALES: Mapping[ScaleKey, Scale] = MappingProxyType(
    {
        scale.key: scale
        for scale in (
            Scale(
                "n_params",
                "parameters",
                "sizes",
                "size",
                lambda s: s.n_params,
                "no parameter count",
            ),
            Scale(
                "n_params_non_embedding",
                "parameters without embeddings",
                "sizes without embeddings",
                "size",
                lambda s: s.n_params_non_embedding,
                "no parameter count without embeddings",
            ),
            Scale(
                "training_tokens",
                "training tokens",
                "numbers of training tokens",
                "training tokens",
                lambda s: s.training_tokens,
                "no number of training tokens",
                of_size=False,
            ),
            Scale(
                "training_flops",
                "training FLOPs",
                "amounts of training compute",
                "training FLOPs",
                training_flops,
                "no training tokens, or no parameter count without embeddings",
            ),
        )
    }
)
