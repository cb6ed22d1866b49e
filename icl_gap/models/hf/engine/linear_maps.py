"""Linear maps in float32 on a CPU, by oneDNN where that is faster than torch's own choice.

Torch multiplies float32 by MKL, which uses AVX-512 on Intel's processors alone. Elsewhere oneDNN
takes less than half the time: on two cores of an EPYC (Zen 5), 1,024 tokens through 640 x 2,048
weights take 5.4 ms in place of 12, and 16 tokens 0.16 in place of 0.35.
"""

# mypy: allow-untyped-calls
# torch leaves some of its functions without types.

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

_MIN_PRODUCTS = 1 << 20
"""Multiplications below which calling oneDNN, some 10 microseconds, costs more than it saves."""


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `rows @ weight.T + bias`.

    Args:
        rows: Vectors in any number of dimensions, (..., inputs).
        weight: The weights, (outputs, inputs).
        bias: The bias, (outputs,); None for none.
    """
    if (
        rows.numel() * len(weight) >= _MIN_PRODUCTS
        and rows.dtype == weight.dtype == torch.float32
        and rows.device.type == "cpu"
        and (weight.is_contiguous() or weight.t().is_contiguous())  # gaps cost a thousand times
        and _has_onednn()
    ):
        # A private function of torch, as its public ones copy what they read and write.
        found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")  # noqa: SLF001
        return found
    return functional.linear(rows, weight, bias)


def use_onednn(model: PreTrainedModel) -> None:
    """Let the linear maps of a model use `linear`, but for those of a class of their own."""
    _exchange(model, _OURS)


def restore_linear(model: PreTrainedModel) -> None:
    """Undo `use_onednn`."""
    _exchange(model, {ours: plain for plain, ours in _OURS.items()})


def _exchange(model: PreTrainedModel, classes: Mapping[type[nn.Module], type[nn.Module]]) -> None:
    """Give the modules of some classes another class."""
    for module in model.modules():
        if other := classes.get(type(module)):
            module.__class__ = other
            if "_old_forward" in vars(module):  # accelerate calls this with the weights loaded
                vars(module)["_old_forward"] = MethodType(other.forward, module)


class _Linear(nn.Linear):
    def forward(self, rows: Tensor) -> Tensor:
        return linear(rows, self.weight, self.bias)


class _Conv1D(Conv1D):
    def forward(self, rows: Tensor) -> Tensor:
        return linear(rows, self.weight.t(), self.bias)


_OURS: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: _Linear, Conv1D: _Conv1D}
LINEAR = frozenset((nn.Linear, _Linear))
"""Classes of the modules that `linear` computes."""


@cache
def _has_onednn() -> bool:
    """Return True if oneDNN is here and the processor has AVX-512."""
    capability = torch.backends.cpu.get_cpu_capability()
    return capability == "AVX512" and torch.backends.mkldnn.is_available()
