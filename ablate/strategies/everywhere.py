"""Dropout on every activation of the net at once."""

from ablate.drops import Drop
from ablate.edges import LSTM_EDGES, Edge
from ablate.placement import Placement
from ablate.strategies.parameters import Rate
from ablate.strategies.registry import strategy
from ablate.strategies.single import OVER_TIME, OverTime


@strategy(dial="rate")
def everywhere(rate: Rate = 0.1, sharing: OverTime = "step") -> Placement:
    """Drop at every edge but the weights, all at one rate.

    Source: ours, the far end of the question where dropout should be placed; `recurrent`, `cell`
    and the other single edges say what each place does to it.
    Not here: no paper trains this scheme.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`.
    Default: .1, since nine masks stand where `zaremba2014` has three and the memory cell is dropped
    twice a step.
    """
    return Placement({LSTM_EDGES & ~Edge.WEIGHT: Drop(rate, OVER_TIME[sharing])})
