"""Melis, Dyer, Blunsom 2018: all places tuned together, one state mask for a window."""

from ablate.drops import PER_STEP, VARIATIONAL, Drop, Scale
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(
    paper="arXiv:1707.05589",
    bibtex="""@inproceedings{melis2018state,
  title     = {On the State of the Art of Evaluation in Neural Language Models},
  author    = {Melis, G{\\'a}bor and Dyer, Chris and Blunsom, Phil},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}
}""",
    dial="output",
)
def melis2018(
    input: Rate = 0.655,
    interlayer: Rate = 0.2,
    state: Rate = 0.42,
    output: Rate = 0.525,
    update: Rate = 0.0,
) -> Placement:
    """Drop vertical connections at each step, and the recurrent state once for the window.

    Source: arXiv:1707.05589 and its code: separate rates for the input, between layers, the state
    and the output. State and update each have one mask for a sequence, and the update is scaled in
    evaluation; the other masks are sampled at each step.
    Not here: input gates capped at 1 - f (with which its update is also scaled by 1.5), a learned
    initial state, connections that skip layers, projections; one state mask for all layers.
    Evaluation: weight scaling, an approximation, since the state's mask is shared over time.
    Default: near no published point. The paper tunes each net separately; these are the middles of
    the ranges that it found on the Penn Treebank (input .58 to .73, between layers .09 to .31,
    state .2 to .64, output .33 to .72, update 0).
    """
    return Placement(
        {
            Edge.INPUT: Drop(input, PER_STEP),
            Edge.INTERLAYER: Drop(interlayer, PER_STEP),
            Edge.RECURRENT: Drop(state, VARIATIONAL),
            Edge.OUTPUT: Drop(output, PER_STEP),
            Edge.UPDATE: Drop(update, VARIATIONAL, scale=Scale.TEST),
        }
    )
