"""Dropout on what a step writes into the cell, scaled in evaluation as in Semeniuta's own code.

Bug 13: a mask of zeros and ones, and no scale anywhere.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class SemeniutaLSTM(Cells):
    """c = f c + i d(g); evaluation takes (1 - rate) g."""

    def __init__(
        self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2, *, dropout: float
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout = dropout

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        i, f, g, o = self.gates(layer, x, h)
        g = g * kept(self.dropout, g, *g.shape) if self.training else self.evaluated(g)
        c = f * c + i * g
        h = o * c.tanh()
        return h, h, c

    def evaluated(self, g: Tensor) -> Tensor:
        return (1.0 - self.dropout) * g


class UnscaledSemeniutaLSTM(SemeniutaLSTM):
    """Bug 13: evaluation takes g as it is."""

    def evaluated(self, g: Tensor) -> Tensor:
        return g
