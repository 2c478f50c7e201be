"""Merity, Keskar, Socher 2017, AWD: DropConnect on the recurrent weights, the rest locked."""

from ablate.drops import ALL, VARIATIONAL, Drop, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(
    paper="arXiv:1708.02182",
    bibtex="""@inproceedings{merity2018regularizing,
  title     = {Regularizing and Optimizing {LSTM} Language Models},
  author    = {Merity, Stephen and Keskar, Nitish Shirish and Socher, Richard},
  booktitle = {International Conference on Learning Representations},
  year      = {2018}
}""",
    dial="output",
)
def merity2017(
    embedding: Rate = 0.1,
    input: Rate = 0.4,
    interlayer: Rate = 0.3,
    output: Rate = 0.4,
    weight: Rate = 0.5,
) -> Placement:
    """Drop recurrent weights, whole words, and the vertical connections, once for the window.

    Source: arXiv:1708.02182, sections 2 and 4: DropConnect on the hidden-to-hidden matrices, one
    mask for the whole batch; a word is dropped for the whole batch; vertical masks are locked.
    Not here: NT-ASGD, tied embeddings, activation regularisation, random window lengths, and three
    layers; the softmax sees the unmasked embedding, as in the paper.
    Evaluation: weight scaling, an approximation, since the weights' masks are shared over time.
    Default: the paper's section 5, Penn Treebank.
    """
    return Placement(
        {
            Edge.EMBEDDING: Drop(embedding, Sharing(time=ALL, word=1, batch=ALL)),
            Edge.INPUT: Drop(input, VARIATIONAL),
            Edge.INTERLAYER: Drop(interlayer, VARIATIONAL),
            Edge.OUTPUT: Drop(output, VARIATIONAL),
            Edge.WEIGHT: Drop(weight),
        }
    )
