"""Morerio et al. 2017, curriculum dropout: rates that grow from zero during training."""

from ablate.placement import Placement
from ablate.schedules import CURRICULUM
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate
from ablate.strategies.zaremba2014 import zaremba2014


@strategy(paper=CURRICULUM.paper, bibtex=CURRICULUM.bibtex, dial="rate")
def morerio2017(rate: Rate = 0.5) -> Placement:
    """Drop the vertical connections at a rate that grows from 0 to the stated one.

    Source: arXiv:1703.06229: the rate at an update is the final rate times
    1 - exp(-10 update / total), which reaches half of it after 7 % of the trial. It differs from
    `zaremba2014` only in the schedule.
    Not here: the paper's nets, which classify images; it trains no recurrent net.
    Evaluation: exact in a linearised cell, since no edge lies in the recurrence.
    Default: .5, that of `zaremba2014`.
    """
    return Placement(zaremba2014(rate), CURRICULUM)
