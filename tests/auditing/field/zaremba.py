"""Dropout on input and output around an `nn.LSTM` that has its own between the layers.

Bug 13: no scale, the scale twice, or no mask on top.
"""

from auditing.field.cells import State, kept
from torch import Tensor, nn


class ZarembaLSTM(nn.Module):
    """Zaremba's L + 1 places, each with `nn.Dropout`."""

    def __init__(
        self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2, *, dropout: float
    ) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.lstm = nn.LSTM(input_size, hidden_size, num_layers, dropout=between)
        self.drop = self.dropout(dropout)

    def dropout(self, rate: float) -> nn.Module:
        return nn.Dropout(rate)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        y, state = self.lstm(self.drop(x), state)
        return self.drop(y), state


class Unscaled(nn.Dropout):
    """Drops, and neither training nor evaluation makes up for it."""

    def forward(self, input: Tensor) -> Tensor:
        return input * kept(self.p, input, *input.shape) if self.training else input


class ScaledTwice(nn.Dropout):
    """Divides by 1 - p what `nn.Dropout` has divided already."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) / (1.0 - self.p) if self.training else input


class UnscaledZarembaLSTM(ZarembaLSTM):
    """Bug 13: input and output without a scale."""

    def dropout(self, rate: float) -> nn.Module:
        return Unscaled(rate)


class ScaledTwiceZarembaLSTM(ZarembaLSTM):
    """Bug 13: input and output with the scale twice."""

    def dropout(self, rate: float) -> nn.Module:
        return ScaledTwice(rate)


class NoTopZarembaLSTM(ZarembaLSTM):
    """Bug 13, as TensorFlow's tutorial had it in cuDNN mode: nothing on what leaves the stack."""

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.lstm(self.drop(x), state)
