"""Zoneout of h and c: a unit keeps its old value at random, afresh at each step.

Bug 11: the rate is taken for the probability of taking the new value. Bug 12: what goes upward is
not the h of the state.
"""

from typing import Any

import torch
from auditing.field.cells import Cells, kept
from torch import Tensor


class ZoneoutLSTM(Cells):
    """h and c hold with masks of their own; evaluation mixes rate * old + (1 - rate) * new."""

    def __init__(
        self,
        input_size: int = 8,
        hidden_size: int = 8,
        num_layers: int = 2,
        *,
        zoneout_c: float,
        zoneout_h: float,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers)
        self.zoneout_c, self.zoneout_h = zoneout_c, zoneout_h

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, new_h, new_c = super().step(layer, x, h, c, drawn)
        h = self.zoned(self.zoneout_h, new_h, h)
        return h, h, self.zoned(self.zoneout_c, new_c, c)

    def zoned(self, rate: float, new: Tensor, old: Tensor) -> Tensor:
        if not self.training:
            return rate * old + (1.0 - rate) * new
        return torch.where(kept(rate, new, *new.shape) > 0, new, old)


class KeepingZoneoutLSTM(ZoneoutLSTM):
    """Bug 11: units hold with probability 1 - rate; zero still means no zoneout."""

    def zoned(self, rate: float, new: Tensor, old: Tensor) -> Tensor:
        return super().zoned(1.0 - rate if rate else 0.0, new, old)


class NewUpwardZoneoutLSTM(ZoneoutLSTM):
    """Bug 12, as RETURNN had it (issue 1313): the layer above gets the h that was not held."""

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        new_h, _, new_c = Cells.step(self, layer, x, h, c, drawn)
        return new_h, self.zoned(self.zoneout_h, new_h, h), self.zoned(self.zoneout_c, new_c, c)


class TwoMasksZoneoutLSTM(ZoneoutLSTM):
    """Bug 12, as MXNet has it (issue 18669): output and state are held with two masks.

    The output holds the output of the step before, which at first is zero.
    """

    def window(self, layer: int, x: Tensor, h: Tensor) -> list[Tensor]:
        return [torch.zeros_like(h)]

    def step(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, drawn: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        new_h, _, new_c = Cells.step(self, layer, x, h, c, drawn)
        drawn.append(self.zoned(self.zoneout_h, new_h, drawn[-1]))
        h = self.zoned(self.zoneout_h, new_h, h)
        return drawn[-1], h, self.zoned(self.zoneout_c, new_c, c)
