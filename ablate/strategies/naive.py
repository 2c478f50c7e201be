"""Dropout on every connection, including the recurrent one."""

from ablate.drops import PER_STEP, Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def naive(rate: Rate = 0.25) -> Placement:
    """Drop the vertical and the recurrent connections, with a new mask at each step.

    Source: the scheme that Zaremba 2014 (arXiv:1409.2329, section 3) argues against: on the
    recurrent path information passes dropout once more at each step. Note the name: Gal and
    Ghahramani 2016 (arXiv:1512.05287, figure 1) call Zaremba's scheme naive, which is `zaremba2014`
    here.
    Not here: no paper trains exactly this scheme.
    Evaluation: exact in a linearised cell, since each step samples new masks.
    Default: .25, a rate at which it still learns.
    """
    return Placement({Edge.VERTICAL | Edge.RECURRENT: Drop(rate, PER_STEP)})
