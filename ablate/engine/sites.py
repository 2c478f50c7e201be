"""The places of one layer's step at which a factor acts.

An edge of the step has a site for each of its fills: ZERO multiplies there, HOLD weighs the new
value against the old. The other sites are no edges. BEGIN and READ are how CELL's mean acts where a
decision is longer than a step: the read is scaled, and the carried cell where a new decision
begins. INPUT_WEIGHT takes a mask that is constant over window and batch. END_HOLD keeps the state
of a row that has ended.

Shapes: T time, B batch, G gates, D input, H hidden; 1 where an axis shares a decision.

| site | acts on | factor |
|---|---|---|
| INPUT | x [T, B, D] before W_ih | [T, B, G, D] |
| INPUT_WEIGHT | W_ih [GH, D] | [G, 1, D] |
| WEIGHT | W_hh [GH, H] | [G, H, H] |
| RECURRENT | s_{t-1} before W_hh | [T, B, G, H] |
| STATE_HOLD | s_t = factor h_t + (1 - factor) s_{t-1} | [T, B, H] |
| BEGIN | c_{t-1} | [T, 1, 1] |
| READ | c~ inside tanh | [1, 1, 1] |
| END_HOLD | each part of the state: factor new + (1 - factor) old, 0 at a row's end | [T, B, 1] |
| an edge inside the step | the value there | [T, B, H] |
"""

import functools
from collections.abc import Mapping
from typing import Final, NamedTuple

from torch import Tensor

from ablate.drops import Fill
from ablate.edges import Edge


class Site(NamedTuple):
    """A place of a layer's step. Sites sort in the order in which kernels take their factors."""

    number: int
    name: str


@functools.cache
def site_of(edge: Edge, fill: Fill = Fill.ZERO) -> Site:
    """Where the multipliers of a drop at `edge` act; an edge inside the step needs no entry."""
    if fill is Fill.HOLD:
        # What HOLD on RECURRENT keeps is the state, after the step.
        name = "STATE" if edge is Edge.RECURRENT else edge.label
        return Site(_first(edge) + 1, f"{name}_HOLD")
    edge = Edge.INPUT if edge is Edge.INTERLAYER else edge
    return Site(_first(edge), edge.label)


def _first(edge: Edge) -> int:
    """The number of an edge's first site, with room for the sites around it."""
    return 4 * edge.number


INPUT: Final = site_of(Edge.INPUT)
INPUT_WEIGHT: Final = Site(INPUT.number + 2, "INPUT_WEIGHT")
WEIGHT: Final = site_of(Edge.WEIGHT)
RECURRENT: Final = site_of(Edge.RECURRENT)
STATE_HOLD: Final = site_of(Edge.RECURRENT, Fill.HOLD)
BEGIN: Final = Site(_first(Edge.CELL) - 1, "BEGIN")
READ: Final = Site(_first(Edge.CELL) + 2, "READ")
END_HOLD: Final = Site(1 << 10, "END_HOLD")

#: Factors of a weight or of the whole input are applied before the loop over time.
BEFORE_THE_LOOP: Final = frozenset({INPUT, INPUT_WEIGHT, WEIGHT})

# A layer's factors in one window; a site whose factor would be 1 is left out.
Factors = Mapping[Site, Tensor]
