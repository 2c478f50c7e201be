"""LSTMs as people write them at home: other parameters, calls, layouts and results.

Shapes: T time, B batch, D input, H hidden.
"""

import torch
from torch import nn
from torch.nn import functional as F


class TwoLinears(nn.Module):
    """Gates from two `nn.Linear`, in the order i, f, o, g; the input drops."""

    def __init__(self, inputs=6, hidden=8, rate=0.3):
        super().__init__()
        self.hidden = hidden
        self.x2h, self.h2h = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden)
        self.drop = nn.Dropout(rate)

    def forward(self, x, state=None):
        h, c = state if state is not None else (x.new_zeros(x.shape[1], self.hidden),) * 2
        ys = []
        for step in x:
            i, f, o, g = (self.x2h(self.drop(step)) + self.h2h(h)).chunk(4, dim=-1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            ys.append(h)
        return torch.stack(ys), (h, c)


class OneLinear(nn.Module):
    """Gates from one `nn.Linear` of [x, h], and one added to the forget gate in code."""

    def __init__(self, inputs=6, hidden=8, rate=0.3):
        super().__init__()
        self.gates = nn.Linear(inputs + hidden, 4 * hidden)
        self.rate = rate

    def forward(self, x, h, c):
        ys = []
        kept = F.dropout(torch.ones_like(h), self.rate, self.training)
        for step in x:
            i, f, g, o = self.gates(torch.cat([step, kept * h], dim=-1)).chunk(4, dim=-1)
            c = (f + 1.0).sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            ys.append(h)
        return ys, h, c


class Encoder(nn.Module):
    """Drops what an inner LSTM reads and what it makes, and returns y alone."""

    def __init__(self, inputs=6, hidden=8, layers=1, rate=0.3, batch_first=True):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=batch_first)
        self.drop = nn.Dropout(rate)

    def forward(self, x):
        y, _ = self.lstm(self.drop(x))
        return self.drop(y)


class CellLoop(nn.Module):
    """A batch-first loop over `nn.LSTMCell` with a state of two dimensions."""

    def __init__(self, inputs=6, hidden=8, rate=0.3):
        super().__init__()
        self.cell = nn.LSTMCell(inputs, hidden)
        self.drop = nn.Dropout(rate)

    def forward(self, x, state=None):
        if state is None:
            state = (x.new_zeros(x.shape[0], self.cell.hidden_size),) * 2
        ys = []
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
            ys.append(self.drop(state[0]))
        return torch.stack(ys, dim=1), state


class CellLoopAlone(CellLoop):
    """The same, which keeps its state to itself."""

    def forward(self, x):
        return super().forward(x)[0]


class Variational(nn.Module):
    """One mask for all steps of a row: x -> x * mask."""

    def __init__(self, rate=0.3, time=0):
        super().__init__()
        self.rate, self.time = rate, time

    def forward(self, x):
        if not self.training:
            return x
        shape = list(x.shape)
        shape[self.time] = 1
        return x * F.dropout(x.new_ones(shape), self.rate)


class WordModel(nn.Module):
    """Words in, logits out, dropout between: the usual language model."""

    def __init__(self, vocabulary=11, hidden=8, layers=2, rate=0.3, inplace=False):
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, hidden)
        self.rnn = nn.LSTM(hidden, hidden, layers, dropout=rate if layers > 1 else 0.0)
        self.decoder = nn.Linear(hidden, vocabulary)
        self.drop = nn.Dropout(rate, inplace=inplace)

    def forward(self, tokens, state=None):
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)
        decoded = self.decoder(self.drop(y))
        return decoded.view(-1, decoded.shape[-1]), state


class Behind(nn.Module):
    """An LSTM, something behind it, and dropout on that."""

    def __init__(self, behind, rate=0.3):
        super().__init__()
        self.lstm, self.behind, self.drop = nn.LSTM(6, 8), behind, nn.Dropout(rate)

    def forward(self, x, state=None):
        y, state = self.lstm(x, state)
        return self.drop(self.behind(y)), state


class Before(nn.Module):
    """Something, dropout on that, and the LSTM that reads it."""

    def __init__(self, before, rate=0.3):
        super().__init__()
        self.before, self.drop, self.lstm = before, nn.Dropout(rate), nn.LSTM(6, 8)

    def forward(self, x, state=None):
        return self.lstm(self.drop(self.before(x)), state)


class Calculated(nn.Module):
    """A function that is no module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)
