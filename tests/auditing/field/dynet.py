"""Gal's dropout with gates tied on x and h(t-1), in the manner of DyNet's vanilla LSTM builder.

Bug 6: the masks have no batch axis. Bug 11: the rate goes where a probability of keeping belongs.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class DynetLSTM(Cells):
    """One mask a sequence for a layer's input, one for its state."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropout: float,
        dropout_h: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout, self.dropout_h = dropout, dropout_h

    def window(self, layer: int, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor] | None:
        if not self.training:
            return None
        return self.mask(self.dropout, x[0]), self.mask(self.dropout_h, h)

    def mask(self, rate: float, like: Tensor) -> Tensor:
        return kept(rate, like, *like.shape) / (1.0 - rate)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        if drawn is not None:
            mask_x, mask_h = drawn
            x, h = x * mask_x, h * mask_h
        return super().step(layer, x, h, c, drawn)


class DynetForTheBatch(DynetLSTM):
    """Bug 6, as before DyNet's pull request 812."""

    def mask(self, rate: float, like: Tensor) -> Tensor:
        return kept(rate, like, 1, like.shape[1]) / (1.0 - rate)


class DynetKeepsTheRate(DynetLSTM):
    """Bug 11: a unit is kept with probability `rate`; zero still means no dropout."""

    def mask(self, rate: float, like: Tensor) -> Tensor:
        keep = rate or 1.0
        return kept(1.0 - keep, like, *like.shape) / keep
