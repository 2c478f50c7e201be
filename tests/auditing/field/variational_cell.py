"""Locked masks on input, state and output of a cell, in the manner of MXNet's Gluon.

Bug 10: the state's mask goes over all states of the cell, h and c.
"""

from typing import Any

from auditing.field.cells import Cells, State, kept
from torch import Tensor


class VariationalDropoutLSTM(Cells):
    """One mask a sequence for a layer's input, one for h(t-1), one for the output."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        drop_inputs: float,
        drop_states: float,
        drop_outputs: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.drop_inputs = drop_inputs
        self.drop_states = drop_states
        self.drop_outputs = drop_outputs

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        y, state = super().forward(x, state)
        return y * self.mask(self.drop_outputs, y[0]), state

    def window(self, layer: int, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.mask(self.drop_inputs, x[0]), self.mask(self.drop_states, h)

    def mask(self, rate: float, like: Tensor) -> Tensor:
        if not self.training:
            return like.new_ones(like.shape)
        return kept(rate, like, *like.shape) / (1.0 - rate)

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs, states = drawn
        return super().step(layer, x * inputs, h * states, c, drawn)


class AllStatesDropoutLSTM(VariationalDropoutLSTM):
    """Bug 10, as the cell was before the review of MXNet's pull request 7067."""

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, states = drawn
        return super().step(layer, x, h, c * states, drawn)
