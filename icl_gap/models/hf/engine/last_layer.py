"""Less work in a model's last layer: it is computed for the tokens alone that predict something.

Later tokens read keys and values of the last layer, and nothing else of it. So its linear maps
other than those to keys and values skip all tokens whose next token nobody asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

_ATTENTION = ("q_proj", "o_proj", "out_proj", "dense")
_GATED = ("gate_proj", "up_proj", "gate_up_proj", "down_proj")
_PLAIN = ("fc1", "fc2", "fc_in", "fc_out", "c_fc", "c_proj", "dense_h_to_4h", "dense_4h_to_h")
_SKIPPING = frozenset((*_ATTENTION, *_GATED, *_PLAIN))
"""Names of linear maps, one token at a time, that no key or value is made from."""
_WORTHWHILE = 0.8
"""The share of tokens that predict something above which nothing is skipped."""


class LastLayer:
    """The last layer of a model, which skips tokens within `only`.

    Args:
        model: The model; linear maps of its last layer are replaced.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._rows: Tensor | None = None
        self._tokens = 0
        self._maps = [
            module
            for name, module in _last_layer(model).named_modules()
            if isinstance(module, nn.Linear | Conv1D)
            and name.rpartition(".")[2] in _SKIPPING
            and "forward" not in vars(module)  # as of weights that are loaded when it is called
        ]
        for module in self._maps:
            vars(module)["forward"] = partial(self._forward, module)

    def restore(self) -> None:
        """Undo the replacement."""
        for module in self._maps:
            vars(module).pop("forward")
        self._maps = []

    @contextmanager
    def only(self, rows: Tensor, tokens: int) -> Iterator[None]:
        """Skip all tokens but some within the `with` block.

        Args:
            rows: The positions of these tokens in the pass, (n,).
            tokens: The number of all tokens of the pass.
        """
        if len(rows) < _WORTHWHILE * tokens:
            self._rows, self._tokens = rows, tokens
        try:
            yield
        finally:
            self._rows = None

    def _forward(self, module: nn.Module, hidden: Tensor) -> Tensor:
        """Apply a linear map to the rows; the others become 0."""
        forward: Any = type(module).forward  # the class is another with oneDNN
        if self._rows is None or hidden.shape[-2] != self._tokens:
            whole: Tensor = forward(module, hidden)
            return whole
        found: Tensor = forward(module, hidden[..., self._rows, :])
        out = found.new_zeros(*hidden.shape[:-1], found.shape[-1])
        out[..., self._rows, :] = found
        return out


def _last_layer(model: PreTrainedModel) -> nn.Module:
    """Return the last of a model's layers; an empty module if they are not found."""
    count = model.config.get_text_config().num_hidden_layers
    lists = [each for each in model.modules() if isinstance(each, nn.ModuleList)]
    layers = [each for each in lists if len(each) == count]
    return layers[0][-1] if layers else nn.Module()
