"""Dropout on every connection alike, the recurrent one too."""

from ablate.drops import PER_STEP, Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def naive(rate: Rate = 0.25) -> Placement:
    """Drop the vertical and the recurrent connections, afresh at each step.

    Source: what Zaremba 2014 (arXiv:1409.2329, section 3) argues against: along the recurrent
    path information is touched once more for each step that it travels. Beware of the name: Gal and
    Ghahramani 2016 (arXiv:1512.05287, figure 1) say naive of Zaremba's own scheme, which is
    `zaremba2014` here.
    Not here: no paper trains exactly this scheme.
    Evaluation: exact in a linearised cell, since each decision is fresh at each step.
    Default: .25, a rate at which it still learns.
    """
    return Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(rate, PER_STEP)})
