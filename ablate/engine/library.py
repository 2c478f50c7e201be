"""A library's own LSTM (cuDNN, oneDNN), for placements with nothing inside the loop.

Masks act outside it, on its input and its weights. The library's own dropout is never used: cuDNN's
keeps a hidden state that does not resume, and no library has it at our addresses. It knows no
cohorts: trials run one after the other.
"""

import torch
from torch import Tensor

from ablate.engine.looped import looped_layer
from ablate.engine.reference import LayerOutput, LayerWeights, masked
from ablate.engine.slots import Factors, Slot

OUTSIDE_THE_LOOP = frozenset({Slot.INPUT, Slot.INPUT_WEIGHT, Slot.WEIGHT})


def library_layer(
    x_KTBD: Tensor, state: tuple[Tensor, Tensor], weights: LayerWeights, factors: Factors
) -> LayerOutput:
    """Run one layer of K trials as `looped_layer`; raises ValueError for a slot inside.

    Weights in another dtype than the input go through `looped_layer`: the library would keep the
    state, too, in the dtype of its products.
    """
    if inside := set(factors) - OUTSIDE_THE_LOOP:
        raise ValueError(f"the library path has no place for {', '.join(s.name for s in inside)}")
    if weights.w_hh.dtype != x_KTBD.dtype:
        return looped_layer(x_KTBD, state, weights, factors)
    mask = factors.get(Slot.INPUT)
    if mask is not None and mask.shape[3] > 1:
        raise ValueError("the library path reads one input for all gates")
    x_KTBD = x_KTBD if mask is None else x_KTBD * mask[:, :, :, 0]
    w_ih = masked(weights.w_ih, factors.get(Slot.INPUT_WEIGHT))
    w_hh = masked(weights.w_hh, factors.get(Slot.WEIGHT))
    biases = [bias for bias in (weights.b_ih, weights.b_hh) if bias is not None]
    outs = [
        _lstm(*given)
        for given in zip(
            x_KTBD.contiguous(), *state, zip(w_ih, w_hh, *biases, strict=True), strict=True
        )
    ]
    if len(outs) == 1:
        return LayerOutput(*(out.unsqueeze(0) for out in outs[0]))
    return LayerOutput(*(torch.stack(column) for column in zip(*outs, strict=True)))


def _lstm(
    x_TBD: Tensor, s: Tensor, c: Tensor, weights: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    hx = [s.unsqueeze(0), c.unsqueeze(0)]
    y, s, c = torch.lstm(x_TBD, hx, list(weights), len(weights) > 2, 1, 0.0, False, False, False)
    return y, s[0], c[0]
