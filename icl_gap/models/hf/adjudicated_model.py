"""A model in half precision whose doubtful verdicts are asked again in float32."""

# mypy: allow-untyped-calls
# torch leaves some of its functions without types.

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import torch

from icl_gap.errors import IclGapError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.calibration import calibrating_ids
from icl_gap.models.hf.engine.packing import KVCache
from icl_gap.models.hf.engine.passes import Runner, Segment
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.engine.tokenization import TokenizedRequest, tokenize_requests
from icl_gap.models.hf.transformers_model import HuggingFaceModel
from icl_gap.schema import ModelInfo, Predictions

_log = logging.getLogger(__name__)
_CALIBRATED_WITHIN = 1.5
"""Distance from the largest logit within which tokens calibrate the bound."""
_MIN_DIFFERENCES = 20
"""Differences of logits, one a position, that a bound must at least rest on."""
_SAFETY = 1.25
"""The bound, as a multiple of the largest error that was seen."""


class AdjudicatedModel:
    """A model twice: in half precision, and in float32 for the verdicts that rounding leaves open.

    Args:
        half: The model in half precision.
        exact: The same model in float32.
    """

    def __init__(self, half: HuggingFaceModel, exact: HuggingFaceModel) -> None:
        self._half = half.engine
        self._exact = exact.engine

        self.info: ModelInfo = half.info

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests; see `icl_gap.models.Model`.

        Verdicts are those of float32 as far as the bound holds. Likelihoods, places of divergence
        and the texts of wrong responses are those of half precision, but for requests that are
        asked again.
        """
        bound = calibrate_bound(self._half, self._exact, requests)
        if math.isinf(bound):
            _log.warning(
                "%s: no bound of rounding errors can be calibrated; all requests run in float32",
                self.info.name,
            )
            yield from self._exact.respond(requests, predictions, wanted)
            return
        _log.info("%s: rounding changes logits by up to %.3g, with a margin", self.info.name, bound)
        again = set()
        engine = replace(self._half, rounding_bound=bound)
        for id_, outcome in engine.respond(requests, predictions, wanted):
            if isinstance(outcome, IclGapError) or outcome.rounding_bound is None:
                again.add(id_)
            else:
                yield id_, outcome
        # In float32 a verdict does not depend on what is computed beside it.
        yield from self._exact.respond(
            [each for each in requests if each.id in again], predictions, None
        )


def calibrate_bound(half: Engine, exact: Engine, requests: Sequence[Request]) -> float:
    """Return the largest error of a difference of logits in half precision, with a margin.

    Some requests are run both ways along their gold targets. The same requests give the same bound.

    Args:
        half: The model in half precision.
        exact: The same model in float32.
        requests: All requests of the job; see `calibrating_ids`.

    Returns:
        The bound in logits; infinite where too few tokens come near the largest logit to tell, or
        where an error is too large to be of use.
    """
    by_id = {each.id: each for each in requests}
    chosen = [replace(by_id[id_], likelihood=True) for id_ in calibrating_ids(by_id)]
    tokenized, _ = tokenize_requests(
        chosen, exact.tokenizer, context_length=exact.context_length, predictions="verdict"
    )
    errors = [
        error for each in tokenized for error in _rounding_errors(half.runner, exact.runner, each)
    ]
    return _SAFETY * max(errors) if len(errors) >= _MIN_DIFFERENCES else math.inf


@torch.inference_mode()
def _rounding_errors(half: Runner, exact: Runner, tokenized: TokenizedRequest) -> Iterator[float]:
    """Yield the largest error of a difference of logits, at each position of a gold target.

    It is infinite where float32's own token is not near the largest logit in half precision, and
    where a number overflows.
    """
    path = tokenized.path
    kept = len(path.tokens) - path.prompt_length + 1
    segment = Segment(
        path.tokens, len(path.tokens), kept, likelihood=False, within=_CALIBRATED_WITHIN
    )
    try:
        (rounded,), (true,) = (runner.run([segment], KVCache()) for runner in (half, exact))
    except FloatingPointError:
        yield math.inf
        return
    for ours, theirs, best in zip(rounded.near, true.near, true.argmax, strict=True):
        changes = [ours[token] - theirs[token] for token in ours.keys() & theirs.keys()]
        if best not in ours:
            yield math.inf
        elif len(changes) > 1:
            yield max(changes) - min(changes)
