"""The initial weights of OPT nano models, from which they learn to copy early."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from icl_gap.nano.shapes import HEADS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

OPT_EMBEDDINGS = 6
"""The factor by which the input embeddings are wider than OPT's own."""
OPT_POSITION_AMPLITUDE = 0.6
"""The amplitude of the position embeddings."""
OPT_SHARPNESS = 1.6
"""The size of the weights of previous-token heads, at a width of 128."""
OPT_PREVIOUS_TOKEN_LAYERS = 2
"""The number of first layers whose heads begin as previous-token heads."""


@torch.no_grad()
def initialize_opt(model: PreTrainedModel) -> None:
    """Give OPT wide embeddings, sinusoidal positions, and previous-token heads.

    Copying needs to know which token precedes which. Random position embeddings show that only once
    each has been learned, which took thousands of steps. Sinusoids (Vaswani et al. 2017, section
    3.5) show it from the start, also at positions that no row has reached yet. Their frequencies
    rise to half a turn a token: high ones separate neighbours, low ones near from far. They rise as
    the power 1.9 of their index; with squares, positions 512 apart would coincide at a width of 64.
    One rotation, the same at every position, turns a position into the one n before it. The heads
    of the first layers begin with the rotations for n = 1 to 4, equally sharp at any width.

    Args:
        model: A model with the library's own initial weights.
    """
    model.get_input_embeddings().get_parameter("weight").mul_(OPT_EMBEDDINGS)
    decoder = model.get_decoder()
    positions = decoder.get_parameter("embed_positions.weight")
    positions.requires_grad_(requires_grad=False)
    length, width = positions.shape
    head = width // HEADS
    frequencies = head // 2
    speeds = torch.pi * ((torch.arange(frequencies) + 0.5) / frequencies) ** 1.9
    angles = torch.arange(length)[:, None] * speeds
    positions.zero_()
    positions[:, :head] = OPT_POSITION_AMPLITUDE * torch.cat([angles.sin(), angles.cos()], 1)
    begun = {
        "q_proj": torch.stack([_rotation_back(back * speeds) for back in range(1, HEADS + 1)]),
        "k_proj": torch.eye(head),
    }
    sharpness = OPT_SHARPNESS * (128 / width) ** 0.25
    for layer in range(OPT_PREVIOUS_TOKEN_LAYERS):
        for part, rotation in begun.items():
            weight = decoder.get_parameter(f"layers.{layer}.self_attn.{part}.weight")
            weight.view(HEADS, head, width)[:, :, :head] = sharpness * rotation


def _rotation_back(angles: torch.Tensor) -> torch.Tensor:
    """Return the rotation of (sines, cosines) by the negative of the given angles."""
    sines, cosines = torch.diag(angles.sin()), torch.diag(angles.cos())
    return torch.cat([torch.cat([cosines, -sines], 1), torch.cat([sines, cosines], 1)])
