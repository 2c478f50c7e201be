"""Every single-edge placement of a cell."""

import itertools

from ablate.cells import LSTM, Cell
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.noise import GAUSSIAN
from ablate.placement import Placement


def single_edge_placements(rate: float = 0.3, cell: Cell = LSTM) -> list[Placement]:
    """Every edge alone, with every fill, scale and noise, per step, per window and in bursts."""
    placements = []
    for edge in cell.has:
        rule = cell.rule(edge)
        axes = [axis for axis in ("time", "batch", "gate", "unit") if axis in rule.axes]
        choices = {
            "time": (1, 3, ALL),
            "batch": (1, ALL),
            "gate": (1, ALL),
            "unit": (1, 2),
        }
        for extents in itertools.product(*(choices[axis] for axis in axes)):
            sharing = Sharing(**dict(zip(axes, extents, strict=True)))
            if sharing.unit == 2 and sharing.time == 3:
                continue
            drops = [Drop(rate, sharing, scale=scale) for scale in rule.scales]
            if rule.noise:
                drops.append(Drop(rate, sharing, noise=GAUSSIAN))
            if Fill.HOLD in rule.fills and not (edge is Edge.RECURRENT and sharing.gate == 1):
                drops.append(Drop(rate, sharing, fill=Fill.HOLD))
            placements += [Placement({edge: drop}) for drop in drops]
    return placements
