"""Recurrent dropout with one mask a sequence, in the manner of allennlp's augmented LSTM.

Bug 5: the mask is applied to what a step puts out, so that the layer above gets it too.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class AugmentedLSTM(Cells):
    """The gates read m * h(t-1); what goes upward is whole."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        recurrent_dropout: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.recurrent_dropout = recurrent_dropout

    def window(self, layer: int, x: Tensor, h: Tensor) -> Tensor | float:
        if not self.training:
            return 1.0
        return kept(self.recurrent_dropout, h, *h.shape) / (1.0 - self.recurrent_dropout)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        return super().step(layer, x, h * drawn, c, drawn)


class AugmentedUpwardLSTM(AugmentedLSTM):
    """Bug 5, as allennlp had it before its issue 2320; lstms.pth too."""

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, h, c = Cells.step(self, layer, x, h, c, drawn)
        h = h * drawn
        return h, h, c
