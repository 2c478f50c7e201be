"""Masks that a layer keeps from step to step, in the manner of TensorFlow 2.0's Keras.

The first step of a call samples a mask and the others take it over. Bug 18: the call does not throw
away what the call before it left, so that the first mask stands for good.
"""

from typing import Any

from auditing.field.cells import Cells, State, kept
from torch import Tensor


class CachingLSTM(Cells):
    """As in TensorFlow 2.0.0: each call begins without masks."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropout: float,
        recurrent_dropout: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout
        self.cache: dict[tuple[str, int], Tensor] = {}

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        self.reset()
        return super().forward(x, state)

    def reset(self) -> None:
        self.cache = {}

    def mask(self, name: str, layer: int, rate: float, like: Tensor) -> Tensor:
        """The mask in the cache, or a new one, [B, D]; a new one of evaluation drops nothing."""
        if (name, layer) not in self.cache:
            new = kept(rate if self.training else 0.0, like, *like.shape)
            self.cache[name, layer] = new / (1.0 - rate) if self.training else new
        return self.cache[name, layer]

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        x = x * self.mask("x", layer, self.dropout, x)
        h = h * self.mask("h", layer, self.recurrent_dropout, h)
        return super().step(layer, x, h, c, drawn)


class NeverResetLSTM(CachingLSTM):
    """Bug 18: the layers of TensorFlow 1.14's compat.v2, and of 2.0 before its release.

    Both took this way with recurrent dropout on. The mode of the first call is kept too: masks that
    evaluation made first drop nothing in training, and those of training drop in evaluation.
    """

    def reset(self) -> None:
        pass
