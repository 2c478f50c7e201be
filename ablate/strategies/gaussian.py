"""Multiplicative Gaussian noise instead of zeros at Zaremba's places."""

from ablate.drops import PER_STEP, Drop
from ablate.edges import Edge
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def gaussian(rate: Rate = 0.5) -> Placement:
    """Multiply the vertical connections by Gaussian noise of mean 1, sampled at each step.

    Source: the noise of Srivastava 2014 (JMLR 15:1929-1958, section 10) at the places of Zaremba
    2014 (arXiv:1409.2329). Its variance p / (1 - p) equals that of dropping with rate p and scaling
    by 1 / (1 - p). It differs from `zaremba2014` only in the noise.
    Not here: no paper trains exactly this scheme.
    Evaluation: exact in a linearised cell, since the mean is 1 and no edge lies in the recurrence.
    Default: .5, that of `zaremba2014`: noise of variance 1.
    """
    return Placement({Edge.VERTICAL: Drop(rate, PER_STEP, noise=GAUSSIAN)})
