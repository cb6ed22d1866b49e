"""Muon, an optimizer for the matrices inside a model's layers.

Each step moves a matrix along the nearest matrix to its mean gradient whose singular values are all
alike (Jordan et al. 2024, kellerjordan.github.io/posts/muon), as far as AdamW would move it (Liu et
al. 2025, arXiv 2502.16982, section 2.2). `torch.optim.Muon` does so in bfloat16; on a processor
that does not multiply in it, that takes two to four times as long as all else in a step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
_ITERATIONS = 5
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of x, x^3 and x^5 in each iteration: the steepest at 0 that keep singular values near 1."""


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    Args:
        matrices: What it optimizes, of two dimensions each.
        weight_decay: The part of a matrix that each step takes away, times the learning rate.
    """

    def __init__(self, matrices: Iterable[Tensor], *, weight_decay: float) -> None:
        alike: defaultdict[torch.Size, list[Tensor]] = defaultdict(list)
        for matrix in matrices:
            alike[matrix.shape].append(matrix)
        groups = [{"params": each} for each in alike.values()]  # each is one batch of products
        super().__init__(groups, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure is ever given
        """Take one step; a group's `lr` is that of AdamW."""
        for group in self.param_groups:
            matrices = group["params"]
            directions = orthogonal(torch.stack([self._ahead(each) for each in matrices]))
            reach = group["lr"] * 0.2 * max(directions.shape[1:]) ** 0.5
            for matrix, change in zip(matrices, directions * reach, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(change)

    def _ahead(self, matrix: Tensor) -> Tensor:
        """The mean gradient, with one more step like the last."""
        state = self.state[matrix]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(matrix)
        assert matrix.grad is not None, "every matrix takes part in every step"  # noqa: S101 (mypy)
        mean: Tensor = state["mean"].lerp_(matrix.grad, 1 - MOMENTUM)
        return matrix.grad.lerp(mean, MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of matrices near 1, by Newton-Schulz iterations.

    Args:
        matrices: (matrices, rows, columns).

    Returns:
        The same shape; singular values lie between 0.5 and 1.5, but for those that were next to
        nothing beside the largest.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    found = matrices.mT if tall else matrices
    found = found / found.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    first, third, fifth = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = found @ found.mT
        change = torch.baddbmm(square, square, square, beta=third, alpha=fifth)
        found = torch.baddbmm(found, change, found, beta=first)
    return found.mT if tall else found
