"""The places of one layer's step at which a factor acts, and where a call of the engine stands.

Shapes: T time, B batch, G gates, D input, H hidden; 1 where an axis shares a decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode
from ablate.masks import Address
from ablate.noise import BERNOULLI
from ablate.placement import Placement


class Slot(Enum):
    """A place of one layer's step at which a factor acts: x * factor, or the mean of old and new
    that the factor weighs.

    Most are edges under another name. BEGIN and READ are how CELL's mean acts when a decision is
    longer than a step: the read is scaled, and the carried cell where a new decision begins.
    END_HOLD is no edge: rows of a batch end at different steps.
    """

    INPUT = "x [T, B, D] before W_ih: times [T, B, G, D]"
    INPUT_WEIGHT = "W_ih [GH, D]: times [G, 1, D]"
    WEIGHT = "W_hh [GH, H]: times [G, H, H]"
    RECURRENT = "s_{t-1} before W_hh: times [T, B, G, H]"
    STATE_HOLD = "s_t = factor h_t + (1 - factor) s_{t-1}, [T, B, H]"
    UPDATE = "what is written (an LSTM's tanh(z_g)): times [T, B, H]"
    BEGIN = "c_{t-1}: times [T, 1, 1]"
    CELL = "c~: times [T, B, H]"
    CELL_HOLD = "c~: factor new + (1 - factor) c_{t-1}, [T, B, H]"
    READ = "c~ inside tanh: times [1, 1, 1]"
    CARRY = "c_t: times [T, B, H]"
    CARRY_HOLD = "c_t: factor c~ + (1 - factor) c_{t-1}, [T, B, H]"
    HIDDEN = "h_t: times [T, B, H]"
    HIDDEN_HOLD = "h_t: factor h~ + (1 - factor) s_{t-1}, [T, B, H]"
    END_HOLD = (
        "each part of the state: factor new + (1 - factor) old, 0 after a row's end, [T, B, 1]"
    )


Factors = Mapping[Slot, Tensor]

ZERO_SLOT = {
    Edge.INPUT: Slot.INPUT,
    Edge.INTERLAYER: Slot.INPUT,
    Edge.WEIGHT: Slot.WEIGHT,
    Edge.RECURRENT: Slot.RECURRENT,
    Edge.HIDDEN: Slot.HIDDEN,
    Edge.UPDATE: Slot.UPDATE,
    Edge.CELL: Slot.CELL,
    Edge.CARRY: Slot.CARRY,
}
HOLD_SLOT = {
    Edge.RECURRENT: Slot.STATE_HOLD,
    Edge.HIDDEN: Slot.HIDDEN_HOLD,
    Edge.CELL: Slot.CELL_HOLD,
    Edge.CARRY: Slot.CARRY_HOLD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a call stands: all that a mask depends on besides the placement.

    `time` and `batch` are the window's lengths, `start` the first step's number in the sequence,
    `batch_offset` the first row's number in the whole batch, `update` the window's number,
    `direction` 1 where the layer reads its steps from the last to the first.
    """

    seed: int
    update: int
    time: int
    batch: int
    start: int = 0
    batch_offset: int = 0
    stack: int = 0
    direction: int = 0
    mode: Mode = Mode.TRAIN
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32

    def address(self, edge: Edge, layer: int, sharing: Sharing) -> Address:
        """The address of `edge` at `layer` in this window; a weight has no steps and no rows."""
        weight = edge is Edge.WEIGHT
        return Address(
            seed=self.seed,
            edge=edge,
            layer=layer,
            direction=0 if sharing.direction is ALL else self.direction,
            stack=self.stack,
            update=self.update,
            start=0 if weight else self.start,
            batch_offset=0 if weight else self.batch_offset,
        )


class Trial(NamedTuple):
    """What one trial of a cohort brings: its placement, and where its window stands."""

    placement: Placement
    window: Window


def slot_of(edge: Edge, drop: Drop) -> Slot:
    """Where the multipliers of a drop act."""
    return (HOLD_SLOT if drop.fill is Fill.HOLD else ZERO_SLOT)[edge]


def rate_index(edge: Edge, layer: int) -> int:
    """Which of a drop's rates is that of `edge` at `layer`."""
    if edge in Edge.EMBEDDING | Edge.OUTPUT:
        return 0
    return layer - 1 if edge is Edge.INTERLAYER else layer


def mean_factor(drop: Drop, rate: float) -> float:
    """The mean of a drawn multiplier under the placement (1 where training keeps the scale)."""
    if drop.noise != BERNOULLI:
        return drop.noise.mean(rate)
    return 1.0 if drop.scale is Scale.TRAIN else 1.0 - rate
