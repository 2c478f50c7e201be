"""DropConnect on the recurrent weights of an `nn.LSTM`, by a wrapper that renames them `_raw`.

Bug 2: the variational branch of awd-lstm-lm samples in evaluation too. Bug 3: Better_LSTM writes
the masked copy into the parameter itself, and what was dropped once is gone.
"""

from auditing.field.cells import State
from auditing.field.locked import LockedDropout
from torch import Tensor, nn


class WeightDrop(nn.Module):
    """Mask `weight_hh_l*` of a wrapped `nn.LSTM` once a call.

    variational: whole rows of the matrix, that is one unit's reading of all others in one gate.
    """

    samples_in_evaluation = False

    def __init__(self, module: nn.LSTM, dropout: float, *, variational: bool) -> None:
        super().__init__()
        self.module = module
        self.dropout = dropout
        self.variational = variational
        self.names = [f"weight_hh_l{layer}" for layer in range(module.num_layers)]
        for name in self.names:
            raw = nn.Parameter(getattr(module, name).detach())
            del module._parameters[name]
            module.register_parameter(f"{name}_raw", raw)
            setattr(module, name, raw.detach())

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        for name in self.names:
            raw = getattr(self.module, f"{name}_raw")
            ones = raw.new_ones(raw.shape[0], 1) if self.variational else raw.new_ones(raw.shape)
            sampled = self.training or self.samples_in_evaluation
            setattr(self.module, name, raw * nn.functional.dropout(ones, self.dropout, sampled))
        return self.module(x, state)


class NeverEvaluatedWeightDrop(WeightDrop):
    """As the variational branch of awd-lstm-lm has it (issue 72)."""

    samples_in_evaluation = True


class WeightDropLSTM(nn.Module):
    """Locked dropout on input and output around a weight-dropped `nn.LSTM`."""

    wrapper = WeightDrop

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropouti: float,
        dropoutw: float,
        dropouto: float,
        variational: bool = False,
    ) -> None:
        super().__init__()
        lstm = nn.LSTM(input_size, hidden_size, num_layers)
        self.lstm = self.wrapper(lstm, dropoutw, variational=variational)
        self.lockdrop = LockedDropout()
        self.dropouti, self.dropouto = dropouti, dropouto

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        y, state = self.lstm(self.lockdrop(x, self.dropouti), state)
        return self.lockdrop(y, self.dropouto), state


class NeverEvaluatedLSTM(WeightDropLSTM):
    """Bug 2: evaluation samples."""

    wrapper = NeverEvaluatedWeightDrop


class OverwritingLSTM(nn.LSTM):
    """Bug 3, in the manner of Better_LSTM: an `nn.LSTM` that drops its own weights at each call."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropouti: float,
        dropoutw: float,
        dropouto: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.lockdrop = LockedDropout()
        self.dropouti, self.dropoutw, self.dropouto = dropouti, dropoutw, dropouto

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        for name, weight in self.named_parameters():
            if name.startswith("weight_hh"):
                weight.data = nn.functional.dropout(weight.data, self.dropoutw, self.training)
        y, state = super().forward(self.lockdrop(x, self.dropouti), state)
        return self.lockdrop(y, self.dropouto), state
