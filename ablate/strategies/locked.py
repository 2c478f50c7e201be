"""Vertical dropout with masks kept for a whole window."""

from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def locked(rate: Rate = 0.5) -> Placement:
    """Drop the vertical connections only, with one mask for the whole window.

    Source: the vertical half of Gal and Ghahramani 2016 (arXiv:1512.05287) with gates tied, known
    as locked dropout since Merity 2017 (arXiv:1708.02182). It differs from `zaremba2014` only in
    its sharing over time, so comparing the two shows the effect of that sharing.
    Not here: every recurrent mask of those papers.
    Evaluation: exact in a linearised cell, since no edge lies in the recurrence.
    Default: .5, that of `zaremba2014`.
    """
    return Placement({Edge.VERTICAL: Drop(rate, VARIATIONAL)})
