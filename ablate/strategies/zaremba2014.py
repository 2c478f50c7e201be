"""Zaremba, Sutskever, Vinyals 2014: dropout on the vertical connections only."""

from ablate.drops import PER_STEP, Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(
    paper="arXiv:1409.2329",
    bibtex="""@article{zaremba2014recurrent,
  title   = {Recurrent Neural Network Regularization},
  author  = {Zaremba, Wojciech and Sutskever, Ilya and Vinyals, Oriol},
  journal = {arXiv preprint arXiv:1409.2329},
  year    = {2014}
}""",
    dial="rate",
)
def zaremba2014(rate: Rate = 0.5) -> Placement:
    """Drop the vertical connections only, with a new mask at each step.

    Source: arXiv:1409.2329, equation of section 3.1 and figure 2; information from an input to a
    prediction passes dropout exactly L + 1 times, over any number of steps.
    Not here: nothing of the paper's cell is missing; its recipes are the presets `zaremba-*`.
    Evaluation: exact in a linearised cell, since no edge lies in the recurrence.
    Default: the medium net's .5 (the large net's is .65).
    """
    return Placement({Edge.VERTICAL: Drop(rate, PER_STEP)})
