"""One mask a sequence on h for all its readers, what lstms.pth calls Gal's dropout.

Bug 4: the mask goes in through `.data`, so that the backward pass does not see it.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class HiddenLSTM(Cells):
    """h = m * o tanh(c), for the next step and for the layer above."""

    def __init__(
        self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2, *, dropout: float
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout = dropout

    def window(self, layer: int, x: Tensor, h: Tensor) -> Tensor | None:
        if not self.training:
            return None
        return kept(self.dropout, h, *h.shape) / (1.0 - self.dropout)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, h, c = super().step(layer, x, h, c, drawn)
        if drawn is not None:
            h = self.masked(h, drawn)
        return h, h, c

    def masked(self, h: Tensor, mask: Tensor) -> Tensor:
        return h * mask


class HiddenThroughData(HiddenLSTM):
    """Bug 4."""

    def masked(self, h: Tensor, mask: Tensor) -> Tensor:
        h.data.mul_(mask)
        return h
