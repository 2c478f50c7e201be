"""One strategy for every single edge, to measure the effect of dropout there.

All share one default rate, to make the edges comparable; the sharing is the edge's default. The
source of an edge is the paper that first dropped there. If an edge acts at several layers,
`layers` says which of them drop: all, the top, the bottom, or higher layers at higher rates.
"""

from typing import Final, Literal

from ablate.drops import PER_STEP, VARIATIONAL, Drop, Layers, Sharing
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate

OverTime = Literal["step", "window"]
OVER_TIME: Final[dict[OverTime, Sharing]] = {"step": PER_STEP, "window": VARIATIONAL}

AtLayers = Literal["all", "top", "bottom", "growing"]
AT_LAYERS: Final[dict[AtLayers, Layers]] = {
    "all": Layers.ALL,
    "top": Layers.TOP,
    "bottom": Layers.BOTTOM,
    "growing": Layers.GROWING,
}


@strategy(dial="rate")
def embedding(rate: Rate = 0.25, sharing: OverTime = "window") -> Placement:
    """Drop whole words, each at all its positions in a row of the batch or at each separately.

    Source: Gal and Ghahramani 2016 (arXiv:1512.05287, section 4.2), who tie a word's mask over the
    sequence. Evaluation: exact in a linearised cell. Default: .25, that of every single edge.
    """
    return Placement({Edge.EMBEDDING: Drop(rate, OVER_TIME[sharing])})


@strategy(dial="rate")
def input(rate: Rate = 0.25, sharing: OverTime = "step") -> Placement:
    """Drop units of the word vectors that the first layer reads.

    Source: Zaremba 2014 (arXiv:1409.2329), its lowest mask alone. Evaluation: exact in a
    linearised cell. Default: .25, that of every single edge.
    """
    return Placement({Edge.INPUT: Drop(rate, OVER_TIME[sharing])})


@strategy(dial="rate")
def interlayer(
    rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all"
) -> Placement:
    """Drop units of each layer's output to the layer above it.

    Source: Pham 2013 (arXiv:1312.4569), Zaremba 2014 (arXiv:1409.2329). Evaluation: exact in a
    linearised cell. Default: .25, that of every single edge. Nothing in a net of one layer.
    """
    return Placement({Edge.INTERLAYER: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def output(rate: Rate = 0.25, sharing: OverTime = "step") -> Placement:
    """Drop units of the softmax's input.

    Source: Zaremba 2014 (arXiv:1409.2329), its highest mask alone. Evaluation: exact in a
    linearised cell. Default: .25, that of every single edge.
    """
    return Placement({Edge.OUTPUT: Drop(rate, OVER_TIME[sharing])})


@strategy(dial="rate")
def weight(rate: Rate = 0.25, layers: AtLayers = "all") -> Placement:
    """Drop single recurrent weights, with one mask for the window and the whole batch.

    Source: DropConnect (Wan 2013, PMLR 28(3):1058-1066) on W_hh as in Merity 2017
    (arXiv:1708.02182). Evaluation: weight scaling, an approximation. Default: .25, that of every
    single edge.
    """
    return Placement({Edge.WEIGHT: Drop(rate, layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def recurrent(rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all") -> Placement:
    """Drop units of the state that the gates read; the carried state stays whole.

    Source: Gal and Ghahramani 2016 (arXiv:1512.05287), who hold the mask for a window.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`. Default: .25,
    that of every single edge.
    """
    return Placement({Edge.RECURRENT: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def hidden(rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all") -> Placement:
    """Drop units of each layer's output for both readers: the next step and the layer above.

    Source: the place of zoneout's mask on h (Krueger 2017, arXiv:1606.01305), filled with zero.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`. Default: .25,
    that of every single edge.
    """
    return Placement({Edge.HIDDEN: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def update(rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all") -> Placement:
    """Drop units of each step's update to the cell; no memory is erased.

    Source: Semeniuta 2016 (arXiv:1603.05118) without its vertical masks. Evaluation: exact in a
    linearised cell for `step`; weight scaling for `window`. Default: .25, that of every single
    edge.
    """
    return Placement({Edge.UPDATE: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def cell(rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all") -> Placement:
    """Drop units of the memory cell for every reader.

    Source: Moon 2015 (doi:10.1109/ASRU.2015.7404775), who holds the mask for a sequence.
    Evaluation: exact in a linearised cell for both sharings. Default: .25, that of every single
    edge.
    """
    return Placement({Edge.CELL: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})


@strategy(dial="rate")
def carry(rate: Rate = 0.25, sharing: OverTime = "step", layers: AtLayers = "all") -> Placement:
    """Drop units of the memory cell for the next step alone.

    Source: the place of zoneout's mask on c (Krueger 2017, arXiv:1606.01305), filled with zero.
    Evaluation: exact in a linearised cell for `step`; weight scaling for `window`. Default: .25,
    that of every single edge.
    """
    return Placement({Edge.CARRY: Drop(rate, OVER_TIME[sharing], layers=AT_LAYERS[layers])})
