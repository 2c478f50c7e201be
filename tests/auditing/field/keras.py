"""Input and recurrent dropout with one mask a sequence, in the manner of Keras.

The recurrent masks are one for each gate; the input mask is one for all four. Bug 7: with recurrent
dropout on, Keras takes its other implementation, in which the input masks are one for each gate.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class KerasLSTM(Cells):
    """One input mask for the four gates, whatever the recurrent dropout is."""

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

    def window(self, layer: int, x: Tensor, h: Tensor) -> tuple[list[Tensor], list[Tensor]] | None:
        if not self.training:
            return None
        own = self.masks(self.recurrent_dropout, h, 4)
        return self.masks(self.dropout, x[0], self.input_masks()) * (4 // self.input_masks()), own

    def input_masks(self) -> int:
        return 1

    def masks(self, rate: float, like: Tensor, count: int) -> list[Tensor]:
        return [kept(rate, like, *like.shape) / (1.0 - rate) for _ in range(count)]

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        ones = [1.0] * 4
        masks_x, masks_h = drawn or (ones, ones)
        i, f, g, o = self.gates(layer, [x * mask for mask in masks_x], [h * m for m in masks_h])
        c = f * c + i * g
        h = o * c.tanh()
        return h, h, c


class KerasSwitchingLSTM(KerasLSTM):
    """Bug 7: four input masks as soon as there is recurrent dropout."""

    def input_masks(self) -> int:
        return 4 if self.recurrent_dropout > 0.0 else 1
