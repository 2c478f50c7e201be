"""Dropout at each step of an unrolled network with a seed, in the manner of TensorFlow 1.

Each step of the unrolled loop is a dropout operation of its own. Bug 8: all of them get the same
seed, so that all steps have the same mask.
"""

import torch
from auditing.field.cells import Cells, State
from torch import Tensor, nn


class UnrolledLSTM(Cells):
    """A mask for each step on the input of every layer and on the output."""

    def __init__(
        self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2, *, dropout: float
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.dropout = dropout

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        y, state = super().forward(x, state)
        seed = self.window(self.num_layers, y, y[0])
        return torch.stack([self.dropped(step, seed) for step in y]), state

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: int | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        return super().step(layer, self.dropped(x, drawn), h, c, drawn)

    def dropped(self, value: Tensor, seed: int | None) -> Tensor:
        return nn.functional.dropout(value, self.dropout, self.training)


class SeededOperationsLSTM(UnrolledLSTM):
    """Bug 8: a seed for each place, the same at every step; another in the next window.

    In TensorFlow the operations go on with their streams from run to run; here a new seed is drawn
    from torch's default generator, which comes to the same.
    """

    def window(self, layer: int, x: Tensor, h: Tensor) -> int | None:
        return int(torch.randint(2**31, ())) if self.training else None

    def dropped(self, value: Tensor, seed: int | None) -> Tensor:
        if seed is None:
            return value
        stream = torch.Generator().manual_seed(seed)
        mask = torch.empty_like(value).bernoulli_(1.0 - self.dropout, generator=stream)
        return value * mask / (1.0 - self.dropout)


class SeededOnceLSTM(SeededOperationsLSTM):
    """Bug 8 without any stream: the seed is a number in the program, the same in every window."""

    def window(self, layer: int, x: Tensor, h: Tensor) -> int | None:
        return 1234 + layer if self.training else None
