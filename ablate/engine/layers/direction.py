"""One direction of a stack of layers: its masks, and the order in which it reads the steps.

Backward is a layer like any other that is given each row turned around, within the row's own length
where rows end at different steps, and whose output is turned back. Its masks have addresses of
their own, counted by the steps that it has read.

Shapes: T time, B batch, G gates, X units of any kind.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ablate.cells import Cell
from ablate.drops import ALL
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.masks.net import NetMasks
from ablate.engine.sites import Factors
from ablate.engine.window import MaskSpec, Window
from ablate.placement import Placement


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """Direction `number`, 0 forward and 1 backward, of a stack; rows end at `lengths_B`."""

    number: int
    placement: Placement
    masks: NetMasks
    lengths_B: Tensor | None

    @classmethod
    def of(
        cls,
        number: int,
        placement: Placement,
        window: Window,
        lengths_B: Tensor | None,
        *,
        inputs: int,
        hidden: int,
        layers: int,
        directions: int,
        cell: Cell,
        fold: bool,
    ) -> "Direction":
        """A direction with its own masks; arguments as those of `NetMasks.of`."""
        masks = NetMasks.of(
            [MaskSpec(placement - Edge.EMBEDDING, replace(window, direction=number))],
            inputs=inputs,
            hidden=hidden,
            layers=layers,
            cell=cell,
            directions=directions,
            fold=fold,
        )
        return cls(number, placement, masks, lengths_B)

    def turned(self, value_TBX: Tensor) -> Tensor:
        """A sequence in the order in which this direction reads it, and back."""
        if not self.number:
            return value_TBX
        if self.lengths_B is None:
            return value_TBX.flip(0)
        steps_T = torch.arange(len(value_TBX), device=value_TBX.device)
        # What lies after a row's end stays there, turned around, too.
        from_TB = (self.lengths_B - 1 - steps_T.unsqueeze(1)) % len(value_TBX)
        more = (1,) * (value_TBX.dim() - 2)
        return value_TBX.take_along_dim(from_TB.view(*from_TB.shape, *more), dim=0)

    def factors(self, layer: int, value_TBX: Tensor) -> Factors:
        """A layer's factors in this window, for what it reads, with a trial's axis in front."""
        made = dict(self.masks.factors(layer))
        vertical = self.placement.get(Edge.INTERLAYER if layer else Edge.INPUT)
        shares = vertical is not None and vertical.shared.direction is ALL
        if shares and sites.INPUT in made and made[sites.INPUT].shape[1] > 1:
            # Both directions read the value that was dropped at one place of the text.
            _, steps, _, gates, units = made[sites.INPUT].shape
            rows = value_TBX.shape[1]
            whole = made[sites.INPUT][0].expand(steps, rows, gates, units)
            made[sites.INPUT] = self.turned(whole).unsqueeze(0)
        if self.lengths_B is not None:
            lives_TB = lives(self.lengths_B, len(value_TBX)).to(value_TBX.dtype)
            made[sites.END_HOLD] = lives_TB[None, :, :, None, None]
        return made


def lives(lengths_B: Tensor, steps: int) -> Tensor:
    """Whether a row has not ended at a step, [T, B]."""
    return torch.arange(steps, device=lengths_B.device).unsqueeze(1) < lengths_B


def until(value_TBX: Tensor, lengths_B: Tensor | None) -> Tensor:
    """A sequence with 0 after each row's end, whatever stood there."""
    if lengths_B is None:
        return value_TBX
    return torch.where(lives(lengths_B, len(value_TBX)).unsqueeze(-1), value_TBX, 0.0)
