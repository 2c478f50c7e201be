"""Dropout on every activation of the net at once."""

from ablate.cells import LSTM, Cell
from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate
from ablate.strategies.single import OVER_TIME, OverTime


@strategy(dial="rate")
def everywhere(rate: Rate = 0.1, sharing: OverTime = "step", cell: Cell = LSTM) -> Placement:
    """Drop at every edge but the weights, all at one rate.

    Source: ours, the extreme answer to where dropout should be placed; `recurrent`, `cell` and the
    other single edges show the effect of each place. In other cells it takes each edge that allows
    zeros: a GRU has no CELL, no CARRY, and a HIDDEN that only holds.
    Not here: no paper trains this scheme.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`.
    Default: .1, since an LSTM has nine masks where `zaremba2014` has three, and its memory cell is
    dropped twice a step.
    """
    edges = cell.taking(Fill.ZERO) & ~Edge.WEIGHT
    return Placement({edges: Drop(rate, OVER_TIME[sharing])})
