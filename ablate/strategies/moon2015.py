"""Moon, Choi, Lee, Song 2015, RNNDrop: dropout on the memory cell itself."""

from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate


@strategy(
    paper="doi:10.1109/ASRU.2015.7404775",
    bibtex="""@inproceedings{moon2015rnndrop,
  title     = {{RNNDROP}: A Novel Dropout for {RNNs} in {ASR}},
  author    = {Moon, Taesup and Choi, Heeyoul and Lee, Hoshik and Song, Inchul},
  booktitle = {IEEE Workshop on Automatic Speech Recognition and Understanding},
  pages     = {65--70},
  year      = {2015},
  doi       = {10.1109/ASRU.2015.7404775}
}""",
    dial="rate",
)
def moon2015(rate: Rate = 0.25) -> Placement:
    """Drop the memory cell for every reader, with one mask for the window.

    Source: doi:10.1109/ASRU.2015.7404775: c = m * (f c + i g), where m differs between the rows of
    the batch and is constant along a sequence.
    Not here: bidirectional layers, peepholes, speech; the paper's sequence is an utterance, ours
    the window of truncated backpropagation.
    Evaluation: the cell is scaled where it is read. Along the recurrence of c that is exact in a
    linearised cell; through h, where the same mask acts again, it is an approximation.
    Default: .25, ours; the paper reports no language model.
    """
    return Placement({Edge.CELL: Drop(rate, VARIATIONAL)})
