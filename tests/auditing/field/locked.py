"""Locked dropout around one `nn.LSTM` a layer, in the manner of awd-lstm-lm.

Bug 1: the mask has one row for each step and broadcasts over the batch.
"""

import torch
from auditing.field.cells import State
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """One mask for all steps; the first axis of the input is taken for time."""

    def forward(self, x: Tensor, rate: float) -> Tensor:
        if not self.training or rate == 0.0:
            return x
        mask = x.new_empty(1, x.size(1), x.size(2)).bernoulli_(1.0 - rate)
        return x * mask / (1.0 - rate)


class LockedOverBatch(nn.Module):
    """One mask for all rows of the batch, another for each step."""

    def forward(self, x: Tensor, rate: float) -> Tensor:
        if not self.training or rate == 0.0:
            return x
        mask = x.new_empty(x.size(0), 1, x.size(2)).bernoulli_(1.0 - rate)
        return x * mask / (1.0 - rate)


class LockedLSTM(nn.Module):
    """Locked dropout on the input, between the layers and on the output."""

    lock: type[nn.Module] = LockedDropout
    batch_first = False

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        dropouti: float,
        dropouth: float,
        dropout: float,
    ) -> None:
        super().__init__()
        widths = [input_size] + [hidden_size] * num_layers
        self.rnns = nn.ModuleList(
            nn.LSTM(below, hidden_size, batch_first=self.batch_first) for below in widths[:-1]
        )
        self.lockdrop = self.lock()
        self.rates = [dropouti] + [dropouth] * (num_layers - 1) + [dropout]

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        finals = []
        for layer, rnn in enumerate(self.rnns):
            own = None if state is None else tuple(part[layer : layer + 1] for part in state)
            x, final = rnn(self.lockdrop(x, self.rates[layer]), own)
            finals.append(final)
        h, c = (torch.cat(parts) for parts in zip(*finals, strict=True))
        return self.lockdrop(x, self.rates[-1]), (h, c)


class LockedOverBatchLSTM(LockedLSTM):
    """As awd-lstm-lm had it before its pull request 5."""

    lock = LockedOverBatch


class BatchFirstLSTM(LockedLSTM):
    """The batch is the first axis, and the lock knows it."""

    class lock(LockedDropout):
        def forward(self, x: Tensor, rate: float) -> Tensor:
            return super().forward(x.transpose(0, 1), rate).transpose(0, 1)

    batch_first = True


class BatchFirstLockedOverBatchLSTM(LockedLSTM):
    """The batch is the first axis, as PyTorch-NLP documented; the lock takes it for time."""

    batch_first = True
