"""Gal and Ghahramani 2016: one mask a sequence, on recurrent connections and words too."""

from typing import Literal

from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(
    paper="arXiv:1512.05287",
    bibtex="""@inproceedings{gal2016theoretically,
  title     = {A Theoretically Grounded Application of Dropout in Recurrent Neural Networks},
  author    = {Gal, Yarin and Ghahramani, Zoubin},
  booktitle = {Advances in Neural Information Processing Systems 29},
  year      = {2016}
}""",
    dial="vertical",
)
def gal2016(
    vertical: Rate = 0.5,
    recurrent: Rate = 0.3,
    embedding: Rate = 0.3,
    gates: Literal["tied", "apart"] = "apart",
) -> Placement:
    """Drop vertical and recurrent connections and whole words with one mask for the window.

    Source: arXiv:1512.05287, equations 4 to 7. Gates apart: each gate reads its input and its
    state through a separate mask (4 + 4 a layer); tied: one mask for the four. A dropped word is
    dropped wherever it occurs in that row of the batch.
    Not here: weight decay, and Monte Carlo averaging over masks in evaluation.
    Evaluation: weight scaling, an approximation, since masks inside the recurrence are shared.
    Default: the rates of the authors' published script for the large net (embedding and
    recurrent .3, all else .5), gates apart.
    """
    window = Sharing(time=ALL, gate=1 if gates == "apart" else ALL)
    return Placement(
        {
            Edge.EMBEDDING: Drop(embedding, Sharing(time=ALL, word=1, batch=1)),
            Edge.INPUT | Edge.INTERLAYER: Drop(vertical, window),
            Edge.RECURRENT: Drop(recurrent, window),
            Edge.OUTPUT: Drop(vertical, Sharing(time=ALL)),
        }
    )
