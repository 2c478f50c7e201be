"""A stock PyTorch trainer of the same shapes, as PyTorch's word language model example is written.

`torch.nn.Embedding`, `torch.nn.LSTM`, `torch.nn.Linear`, `cross_entropy`, `clip_grad_norm_` and
`p.data.add_`; dropout is that of the example, LSTM's own argument included; bfloat16 is autocast.
Source: github.com/pytorch/examples, word_language_model.

Shapes: T time, B batch, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.shapes import Shape

State = tuple[Tensor, Tensor]


class StockModel(nn.Module):
    """Words in, scores [T * B, V] and the new state out."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(shape.vocabulary, shape.hidden)
        self.rnn = nn.LSTM(shape.hidden, shape.hidden, shape.layers, dropout=dropout)
        self.decoder = nn.Linear(shape.hidden, shape.vocabulary)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -shape.init, shape.init)

    def forward(self, x_TB: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.rnn(self.drop(self.encoder(x_TB)), state)
        return self.decoder(self.drop(output)).flatten(0, 1), state


class StockTrainer:
    """The example's loop over windows, one window a call."""

    def __init__(self, shape: Shape, precision: str, *, dropout: float, device: str) -> None:
        self.shape = shape
        self.model = StockModel(shape, dropout).to(device)
        self.autocast = torch.autocast(
            torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"
        )
        zeros = torch.zeros(shape.layers, shape.batch, shape.hidden, device=device)
        self.state: State = (zeros, zeros.clone())

    def update(self, x_TB: Tensor, y_TB: Tensor, *, learning_rate: float) -> float:
        """One update; the mean loss in nats."""
        self.model.train()
        self.model.zero_grad()
        state = (self.state[0].detach(), self.state[1].detach())
        with self.autocast:
            scores, self.state = self.model(x_TB, state)
            loss = functional.cross_entropy(scores, y_TB.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.shape.clip)
        for parameter in self.model.parameters():
            assert parameter.grad is not None
            parameter.data.add_(parameter.grad, alpha=-learning_rate)
        return loss.item()

    def evaluate(self, x_TB: Tensor, y_TB: Tensor) -> float:
        """Score one window in evaluation mode; the mean loss in nats."""
        self.model.eval()
        state = (self.state[0].detach(), self.state[1].detach())
        with torch.no_grad(), self.autocast:
            scores, self.state = self.model(x_TB, state)
            return functional.cross_entropy(scores, y_TB.flatten()).item()
