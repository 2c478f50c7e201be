"""Word dropout by position: single tokens of the text vanish from the input."""

from ablate.drops import ALL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(dial="rate")
def token(rate: Rate = 0.25) -> Placement:
    """Drop whole word vectors, each place in the text by a decision of its own.

    Source: the code of Melis 2018 (arXiv:1707.05589) has it as `token_dropout`: the input of that
    step becomes zero. It differs from `embedding`, in which Gal and Ghahramani 2016
    (arXiv:1512.05287) tie a word's decision over a row of the batch: here a word that is dropped
    once may be seen at its next place.
    Not here: schemes that put a word for unknown in the dropped one's place.
    Evaluation: exact in a linearised cell.
    Default: .25, that of every single edge.
    """
    return Placement({Edge.EMBEDDING: Drop(rate, Sharing(time=1, word=ALL))})
