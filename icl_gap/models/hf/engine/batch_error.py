"""The failure of a batch of requests."""

from __future__ import annotations

import torch

from icl_gap.errors import InferenceError
from icl_gap.models.hf.engine.tokenization import TokenizedRequest

_OUT_OF_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "std::bad_alloc")
"""Messages of torch's plain RuntimeErrors that report a lack of memory."""


class BatchError(Exception):
    """Failure of a batch; `__cause__` is the error itself.

    Args:
        requests: The requests of the batch.
        tokens: The tokens of the batch.
    """

    def __init__(self, requests: list[TokenizedRequest], tokens: int) -> None:
        super().__init__()
        self.requests = requests
        self.tokens = tokens

    @property
    def is_out_of_memory(self) -> bool:
        """True if a batch of fewer tokens may succeed."""
        cause = self.__cause__
        if isinstance(cause, torch.OutOfMemoryError | MemoryError):
            return True
        return isinstance(cause, RuntimeError) and any(t in str(cause) for t in _OUT_OF_MEMORY)

    def to_inference_error(self, name: str) -> InferenceError:
        """Return the error to report.

        Args:
            name: The model's name.
        """
        named = ", ".join(each.request.query_id for each in self.requests)
        if self.is_out_of_memory:
            return InferenceError(f"{name} failed on {named}: out of memory, even by itself")
        reason = (str(self.__cause__).strip().splitlines() or [""])[0]
        return InferenceError(
            f"{name} failed on {named}: {type(self.__cause__).__name__}: {reason}"
        )
