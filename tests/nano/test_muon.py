import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from icl_gap.nano.muon import Muon, orthogonal

SHAPES = ((6, 6), (24, 6), (6, 24), (6, 6))


@given(st.integers(2, 24), st.integers(2, 24), st.floats(-6, 6), st.integers(0, 2**32 - 1))
def test_singular_values_come_near_one_whatever_the_shape_and_the_scale(
    rows, columns, power, seed
) -> None:
    chance = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=chance))
    right, _ = torch.linalg.qr(torch.randn(columns, columns, generator=chance))
    least = min(rows, columns)
    values = 10**power * (0.05 + torch.rand(least, generator=chance))
    found = orthogonal((left[:, :least] * values @ right[:least])[None])[0]
    turned = left[:, :least].T @ found @ right[:least].T
    assert found.shape == (rows, columns)
    assert turned.diag().min() > 0.5
    assert turned.diag().max() < 1.5
    assert (turned - torch.diag(turned.diag())).abs().max() < 1e-3, "its axes stay what they were"


def test_a_matrix_of_nothing_stays_nothing() -> None:
    assert not orthogonal(torch.zeros(2, 3, 4)).any()


def stepped(kind, steps: list[list[Tensor]]) -> list[Tensor]:
    matrices = [torch.full(shape, 0.1, requires_grad=True) for shape in SHAPES]
    optimizer = kind(matrices)
    for gradients in steps:
        for group in optimizer.param_groups:
            group["lr"] = 0.01
        for matrix, gradient in zip(matrices, gradients, strict=True):
            matrix.grad = gradient.clone()
        optimizer.step()
    return [matrix.detach() for matrix in matrices]


def test_it_goes_where_the_one_of_torch_goes_in_bfloat16() -> None:
    chance = torch.Generator().manual_seed(0)
    steps = [[torch.randn(shape, generator=chance) for shape in SHAPES] for _ in range(5)]
    ours = stepped(lambda matrices: Muon(matrices, weight_decay=0.5), steps)
    theirs = stepped(
        lambda matrices: torch.optim.Muon(
            matrices, weight_decay=0.5, adjust_lr_fn="match_rms_adamw"
        ),
        steps,
    )
    for matrix, reference in zip(ours, theirs, strict=True):
        moved, by = matrix - 0.1, reference - 0.1
        assert (moved - by).norm() < 0.02 * by.norm()
