"""Word dropout by position: single tokens are removed from the input."""

from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def token(rate: Rate = 0.25) -> Placement:
    """Drop whole word vectors, each position of the text independently.

    Source: `token_dropout` in the code of Melis 2018 (arXiv:1707.05589): the input of that step
    becomes zero. In `embedding`, Gal and Ghahramani 2016 (arXiv:1512.05287) tie a word's decision
    over a row of the batch; here a word that is dropped once may be seen at its next position.
    Not here: schemes that replace a dropped word by an unknown one.
    Evaluation: exact in a linearised cell.
    Default: .25, that of every single edge.
    """
    return Placement({Edge.EMBEDDING: Drop(rate, Sharing(time=1, word=ALL))})
