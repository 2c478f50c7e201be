"""Krueger et al. 2017, zoneout: units keep their old value instead of being dropped."""

from ablate.drops import PER_STEP, Drop, Fill
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate
from ablate.strategies.zaremba2014 import zaremba2014


@strategy(
    paper="arXiv:1606.01305",
    bibtex="""@inproceedings{krueger2017zoneout,
  title     = {Zoneout: Regularizing {RNNs} by Randomly Preserving Hidden Activations},
  author    = {Krueger, David and Maharaj, Tegan and Kram{\\'a}r, J{\\'a}nos and Pezeshki, Mohammad
               and Ballas, Nicolas and Ke, Nan Rosemary and Goyal, Anirudh and Bengio, Yoshua
               and Courville, Aaron and Pal, Chris},
  booktitle = {International Conference on Learning Representations},
  year      = {2017}
}""",
    dial="vertical",
)
def zoneout(
    vertical: Rate = 0.5, cell: Rate = 0.25, hidden: Rate = 0.025, upward: bool = True
) -> Placement:
    """Hold cell and state at their old values at random, on top of Zaremba's vertical dropout.

    Source: arXiv:1606.01305, equations 3 to 5: the carried cell and the state are held with
    separate masks, and the new state is computed from the cell before holding. With `upward` the
    held state also goes to the layer above (the paper's equations); without it, only the state
    passed to the next step is held, and the layer above sees the new one (the authors' code).
    Not here: the paper's other tasks; zoneout alone is `vertical` 0.
    Evaluation: p old + (1 - p) new, exact in a linearised cell: each step samples new masks.
    Default: the paper's word-level Penn Treebank point, .25 and .025 over Zaremba's .5.
    """
    held = Edge.HIDDEN if upward else Edge.RECURRENT
    return zaremba2014(vertical) | Placement(
        {Edge.CARRY: Drop(cell, PER_STEP, Fill.HOLD), held: Drop(hidden, PER_STEP, Fill.HOLD)}
    )
