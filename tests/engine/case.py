"""The seeded net of `ablate.testing.case`, under the name by which these tests know it."""

from torch import Tensor

from ablate.cells import LSTM, Cell
from ablate.engine.masks.net import NetMasks
from ablate.engine.sites import Site
from ablate.engine.window import MaskSpec, Window
from ablate.placement import Placement
from ablate.testing.case import (  # noqa: F401
    MODES,
    VOCABULARY,
    B,
    Case,
    D,
    H,
    T,
    everything,
    forward,
    make_case,
    outputs,
    window_of,
)


def layer_factors(
    placement: Placement,
    layer: int,
    window: Window,
    *,
    inputs: int = D,
    hidden: int = H,
    cell: Cell = LSTM,
) -> dict[Site, Tensor]:
    """One trial's factors at one layer, without the axis of trials."""
    sizes = {"inputs": inputs, "hidden": hidden, "layers": layer + 1}
    masks = NetMasks.of([MaskSpec(placement, window)], **sizes, cell=cell)
    return {site: factor[0] for site, factor in masks.factors(layer).items()}
