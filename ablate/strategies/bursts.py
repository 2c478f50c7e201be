"""Vertical dropout with masks kept for a few steps: between per-step and locked."""

from typing import Annotated

from ablate.drops import Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Range, Rate


@strategy(dial="rate")
def bursts(rate: Rate = 0.5, steps: Annotated[int, Range(1, 100)] = 10) -> Placement:
    """Drop the vertical connections only, with one mask for a number of steps.

    Source: ours. At 1 step it is `zaremba2014`, at the window's length or more `locked`; values in
    between show whether there is an optimum. A burst ends with the window.
    Not here: no paper trains this scheme.
    Evaluation: exact in a linearised cell, since no edge lies in the recurrence.
    Default: .5, that of `zaremba2014`, for 10 steps, a half or a third of the usual windows.
    """
    return Placement({Edge.VERTICAL: Drop(rate, Sharing(time=steps))})
