"""Dropout on the memory cell with one mask for a sequence, in the manner of lstms.pth.

Bug 4: the mask goes in through `.data`, so that the backward pass does not see it. Bug 6: the mask
has no batch axis. Not as there: evaluation scales the cell where it is read, as the paper has it,
while lstms.pth divides in training, which compounds along the cell.
"""

from typing import Any

from auditing.field.cells import Cells, kept
from torch import Tensor


class MoonLSTM(Cells):
    """c = m * (f c + i g) for every reader; evaluation reads (1 - rate) c."""

    def __init__(
        self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2, *, dropout: float
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout = dropout

    def window(self, layer: int, x: Tensor, h: Tensor) -> Tensor | None:
        return self.drawn(h) if self.training else None

    def drawn(self, h: Tensor) -> Tensor:
        return kept(self.dropout, h, *h.shape)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        i, f, g, o = self.gates(layer, x, h)
        c = f * c + i * g
        if drawn is None:
            read = (1.0 - self.dropout) * c
        else:
            read = c = self.masked(c, drawn)
        h = o * read.tanh()
        return h, h, c

    def masked(self, c: Tensor, mask: Tensor) -> Tensor:
        return c * mask


class MoonThroughData(MoonLSTM):
    """Bug 4."""

    def masked(self, c: Tensor, mask: Tensor) -> Tensor:
        c.data.mul_(mask)
        return c


class MoonForTheBatch(MoonLSTM):
    """Bug 6: one mask for the whole batch."""

    def drawn(self, h: Tensor) -> Tensor:
        return kept(self.dropout, h, 1, h.shape[1])
