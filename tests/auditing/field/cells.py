"""A plain LSTM of several layers, written as the loop that a library of one's own begins with.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


def kept(rate: float, like: Tensor, *shape: int) -> Tensor:
    """A mask of zeros (with probability `rate`) and ones, from torch's default generator."""
    return like.new_empty(shape).bernoulli_(1.0 - rate)


class Cells(nn.Module):
    """The interface and the parameter names of `torch.nn.LSTM`, and no dropout.

    A subclass says in `window` what is drawn once for a layer's window, in `step` what one step
    does with it.
    """

    def __init__(self, input_size: int = 8, hidden_size: int = 8, num_layers: int = 2) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        for layer in range(num_layers):
            width = hidden_size if layer else input_size
            for name, shape in (
                ("weight_ih", (4 * hidden_size, width)),
                ("weight_hh", (4 * hidden_size, hidden_size)),
                ("bias_ih", (4 * hidden_size,)),
                ("bias_hh", (4 * hidden_size,)),
            ):
                bound = hidden_size**-0.5
                value = torch.empty(shape).uniform_(-bound, bound)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(value))

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x [T, B, D] and the state (h, c), each [L, B, H], to y [T, B, H] and the new state."""
        zero = x.new_zeros(self.num_layers, x.shape[1], self.hidden_size)
        h_0, c_0 = state or (zero, zero)
        finals: list[State] = []
        for layer in range(self.num_layers):
            h, c = h_0[layer], c_0[layer]
            drawn = self.window(layer, x, h)
            ups = []
            for inputs in x:
                up, h, c = self.step(layer, inputs, h, c, drawn)
                ups.append(up)
            x = torch.stack(ups)
            finals.append((h, c))
        return x, (torch.stack([h for h, _ in finals]), torch.stack([c for _, c in finals]))

    def window(self, layer: int, x: Tensor, h: Tensor) -> Any:
        """What is drawn before the first step: x [T, B, D], h [B, H]."""
        return None

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step: what goes upward, and the state (h, c) that the next step gets."""
        i, f, g, o = self.gates(layer, x, h)
        c = f * c + i * g
        h = o * c.tanh()
        return h, h, c

    def gates(
        self, layer: int, x: Tensor | Sequence[Tensor], h: Tensor | Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """i, f, g, o, each [B, H]; x and h may be four, one for each gate."""
        of_x = self._read(x, self.of("weight_ih", layer), self.of("bias_ih", layer))
        of_h = self._read(h, self.of("weight_hh", layer), self.of("bias_hh", layer))
        i, f, g, o = (of_x + of_h).chunk(4, dim=-1)
        return i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()

    def _read(self, value: Tensor | Sequence[Tensor], weight: Tensor, bias: Tensor) -> Tensor:
        """What all gates make of a value [B, D], or each of its own."""
        if isinstance(value, Tensor):
            return nn.functional.linear(value, weight, bias)
        parts = zip(value, weight.chunk(4), bias.chunk(4), strict=True)
        return torch.cat([nn.functional.linear(*part) for part in parts], dim=-1)

    def of(self, name: str, layer: int) -> Tensor:
        """A parameter of a layer."""
        return getattr(self, f"{name}_l{layer}")
