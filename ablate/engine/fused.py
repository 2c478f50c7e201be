"""A library's own LSTM (cuDNN, oneDNN), for placements with nothing inside the loop.

Masks act outside it, on its input and its weights. The library's own dropout is never used: cuDNN's
keeps a hidden state that does not resume, and no library has it at our addresses.
"""

import torch
from torch import Tensor

from ablate.engine.factors import Factors, Slot
from ablate.engine.looped import looped_layer
from ablate.engine.reference import LayerOutput, LayerWeights, masked

FUSABLE = frozenset({Slot.INPUT, Slot.INPUT_WEIGHT, Slot.WEIGHT})


def fused_layer(
    x_TBD: Tensor, state: tuple[Tensor, Tensor], weights: LayerWeights, factors: Factors
) -> LayerOutput:
    """Run one layer over a window, as `reference_layer`; raises ValueError for a slot inside.

    Weights in another dtype than the input go through `looped_layer`: the library would keep the
    state, too, in the dtype of its products.
    """
    if inside := set(factors) - FUSABLE:
        raise ValueError(f"the fused path has no place for {', '.join(s.name for s in inside)}")
    if weights.w_hh.dtype != x_TBD.dtype:
        return looped_layer(x_TBD, state, weights, factors)
    mask = factors.get(Slot.INPUT)
    if mask is not None and mask.shape[2] > 1:
        raise ValueError("the fused path reads one input for all gates")
    x = x_TBD if mask is None else x_TBD * mask[:, :, 0]
    matrices = [
        masked(weights.w_ih, factors.get(Slot.INPUT_WEIGHT)),
        masked(weights.w_hh, factors.get(Slot.WEIGHT)),
    ]
    biases = [] if weights.b_ih is None or weights.b_hh is None else [weights.b_ih, weights.b_hh]
    hx = [state[0].unsqueeze(0), state[1].unsqueeze(0)]
    y, s, c = torch.lstm(
        x.contiguous(), hx, matrices + biases, bool(biases), 1, 0.0, False, False, False
    )
    return LayerOutput(y, s[0], c[0])
