"""A library's own recurrent layer (cuDNN, oneDNN), for placements with nothing inside the loop.

Masks act outside it, on its input and its weights. The library's own dropout is never used: cuDNN's
keeps a hidden state that does not resume, and no library has it at our addresses. It knows no
cohorts: trials run one after the other.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ablate.cells import LSTM, Cell
from ablate.engine import sites
from ablate.engine.layers.looped import looped_layer
from ablate.engine.layers.reference import LayerOutput, LayerWeights, masked
from ablate.engine.sites import Factors


def library_layer(
    x_KTBD: Tensor,
    state: tuple[Tensor, ...],
    weights: LayerWeights,
    factors: Factors,
    *,
    cell: Cell = LSTM,
) -> LayerOutput:
    """Run one layer of K trials as `looped_layer`; raises ValueError for a site inside.

    Weights in another dtype than the input go through `looped_layer`: the library would keep the
    state, too, in the dtype of its products. So does a cell that no library has.
    """
    if inside := set(factors) - sites.BEFORE_THE_LOOP:
        raise ValueError(f"the library path has no place for {', '.join(s.name for s in inside)}")
    if cell.library is None or weights.w_hh.dtype != x_KTBD.dtype:
        return looped_layer(x_KTBD, state, weights, factors, cell=cell)
    mask = factors.get(sites.INPUT)
    if mask is not None and mask.shape[3] > 1:
        raise ValueError("the library path reads one input for all gates")
    x_KTBD = x_KTBD if mask is None else x_KTBD * mask[:, :, :, 0]
    gates = len(cell.gates)
    w_ih = masked(weights.w_ih, factors.get(sites.INPUT_WEIGHT), gates)
    w_hh = masked(weights.w_hh, factors.get(sites.WEIGHT), gates)
    biases = [bias for bias in (weights.b_ih, weights.b_hh) if bias is not None]
    outs = [
        _run(getattr(torch, cell.library), *given)
        for given in zip(
            x_KTBD.contiguous(),
            zip(*state, strict=True),
            zip(w_ih, w_hh, *biases, strict=True),
            strict=True,
        )
    ]
    y_KTBH, *states = (
        column[0].unsqueeze(0) if len(outs) == 1 else torch.stack(column)
        for column in zip(*outs, strict=True)
    )
    return LayerOutput(y_KTBH, tuple(states))


def _run(
    function: Callable[..., tuple[Tensor, ...]],
    x_TBD: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor, ...],
) -> tuple[Tensor, ...]:
    """A trial's output and the parts of its last state."""
    # Of one part the state is that part, in torch.
    hx = [part.unsqueeze(0) for part in state]
    given = hx if len(hx) > 1 else hx[0]
    y, *states = function(
        x_TBD, given, list(weights), len(weights) > 2, 1, 0.0, False, False, False
    )
    return y, *(part[0] for part in states)
