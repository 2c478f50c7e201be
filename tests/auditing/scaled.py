"""An LSTM of one layer that drops at one edge, with a scale that is right or wrong.

`HOW` says what training multiplies a kept value by and what stands there in evaluation: by (rate,
kept, still), or for held edges the part of the old value.
"""

import torch
from torch import Tensor, nn

EDGES = ("INPUT", "OUTPUT", "RECURRENT", "HIDDEN", "UPDATE", "CELL", "CARRY")
HELD = ("RECURRENT", "HIDDEN", "CELL", "CARRY")

RIGHT = {
    "train": lambda p: (p, 1.0 / (1.0 - p), 1.0),
    "test": lambda p: (p, 1.0, 1.0 - p),
}
WRONG = {
    "none": lambda p: (p, 1.0, 1.0),
    "twice": lambda p: (p, 1.0 / (1.0 - p) ** 2, 1.0),
    "times": lambda p: (p, 1.0 - p, 1.0),
    "both": lambda p: (p, 1.0 / (1.0 - p), 1.0 - p),
    "keep": lambda p: (1.0 - p, 1.0 / p, 1.0),
    "keep-scale": lambda p: (p, 1.0 / p, 1.0),
}
HOLD_RIGHT = {"mean": lambda p: (p, p)}
HOLD_WRONG = {
    "none": lambda p: (p, 0.0),
    "swapped": lambda p: (p, 1.0 - p),
    "keep": lambda p: (1.0 - p, 1.0 - p),
}


class DropsAt(nn.Module):
    """x [T, B, D] and (h, c) [1, B, H]; the mask is fresh at each step, and shared by the gates."""

    def __init__(self, edge: str, how: tuple[float, ...], inputs: int = 5, hidden: int = 8) -> None:
        super().__init__()
        self.edge, self.how, self.step = edge, how, 0
        width = 4 * hidden
        self.weight_ih_l0 = nn.Parameter(torch.zeros(width, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.zeros(width, hidden))
        self.bias_ih_l0 = nn.Parameter(torch.zeros(width))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(width))

    def at(self, edge: str, value: Tensor, old: Tensor | None = None) -> Tensor:
        if edge != self.edge:
            return value
        if len(self.how) == 2:
            rate, part = self.how
            if not self.training:
                return part * old + (1.0 - part) * value
            return torch.where(torch.rand_like(value) < rate, old, value)
        rate, kept, still = self.how
        return value * kept * (torch.rand_like(value) >= rate) if self.training else value * still

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple]:
        (s,), (c,) = state
        ys = []
        for self.step, step in enumerate(x):
            held = len(self.how) == 2
            read = s if held else self.at("RECURRENT", s)
            z = self.at("INPUT", step) @ self.weight_ih_l0.t() + self.bias_ih_l0
            z = z + read @ self.weight_hh_l0.t() + self.bias_hh_l0
            i, f, g, o = z.chunk(4, dim=-1)
            new = f.sigmoid() * c + i.sigmoid() * self.at("UPDATE", g.tanh())
            new = self.at("CELL", new, c)
            h = self.at("HIDDEN", o.sigmoid() * new.tanh(), s)
            c = self.at("CARRY", new, c)
            s = self.at("RECURRENT", h, s) if held else h
            ys.append(self.at("OUTPUT", h))
        return torch.stack(ys), (s[None], c[None])


class ChangesItsWay(DropsAt):
    """In one way at the first step of a window, and from `step` on in another."""

    def __init__(self, edge: str, first: tuple[float, ...], later: tuple[float, ...], step: int):
        super().__init__(edge, first)
        self.first, self.later, self.since = first, later, step

    def at(self, edge: str, value: Tensor, old: Tensor | None = None) -> Tensor:
        self.how = self.later if self.step >= self.since else self.first
        return super().at(edge, value, old)
