"""Where a call of the engine stands, and what one trial brings to it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from ablate.addresses import Address
from ablate.drops import ALL, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode
from ablate.placement import Placement


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


class MaskSpec(NamedTuple):
    """What one trial of a cohort brings: its placement, and where its window stands."""

    placement: Placement
    window: Window
