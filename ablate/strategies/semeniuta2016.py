"""Semeniuta, Severyn, Barth 2016: dropout on the update of the memory cell."""

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate
from ablate.strategies.single import OVER_TIME, OverTime
from ablate.strategies.zaremba2014 import zaremba2014


@strategy(
    paper="arXiv:1603.05118",
    bibtex="""@inproceedings{semeniuta2016recurrent,
  title     = {Recurrent Dropout without Memory Loss},
  author    = {Semeniuta, Stanislau and Severyn, Aliaksei and Barth, Erhardt},
  booktitle = {Proceedings of COLING 2016},
  pages     = {1757--1766},
  year      = {2016}
}""",
    dial="vertical",
)
def semeniuta2016(
    vertical: Rate = 0.5,
    update: Rate = 0.3,
    sharing: OverTime = "step",
) -> Placement:
    """Drop what each step writes into the cell, on top of Zaremba's vertical dropout.

    Source: arXiv:1603.05118: c = f c + i d(g), where d is sampled for each step or for a whole
    sequence; memory is never erased.
    Not here: the scale of the authors' code, which multiplies by 1 - p in evaluation; here training
    divides kept values by 1 - p.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`.
    Default: .5 vertical and .3 on the update, per step, the point at which Flipout
    (arXiv:1803.04386, table 3) compares it with its rivals on one net.
    """
    return zaremba2014(vertical) | Placement({Edge.UPDATE: Drop(update, OVER_TIME[sharing])})
