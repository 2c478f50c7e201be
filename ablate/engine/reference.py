"""The specification: one LSTM layer over a window as a loop over time, read off the listing.

Every other path is tested against this one, value by value and gradient by gradient. It is written
to be read aloud, not to be fast.

Products are taken in the dtype of the weight, everything else in the dtype of the input: weights in
bfloat16 below float32 inputs give bfloat16 products and a float32 state.

Shapes: T time, B batch, D input, H hidden, G gates in PyTorch's order i, f, g, o.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.cells import Gates
from ablate.edges import Edge
from ablate.engine.slots import Factors, Slot
from ablate.engine.step import Multiply, step

# What replaces the value at an edge's place of the listing, dropout applied: (value, step=t) ->
# value. INPUT is whatever the layer reads, INTERLAYER's place included.
LayerHooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: LayerHooks = MappingProxyType({})

_OF_WEIGHTS = frozenset({Slot.INPUT_WEIGHT, Slot.WEIGHT})
_OF_GATES = frozenset({Slot.INPUT, Slot.RECURRENT})


class LayerWeights(NamedTuple):
    """One layer's parameters under PyTorch's names and shapes; biases may be None."""

    w_ih: Tensor  # [4H, D]
    w_hh: Tensor  # [4H, H]
    b_ih: Tensor | None = None  # [4H]
    b_hh: Tensor | None = None  # [4H]

    @property
    def hidden(self) -> int:
        return self.w_hh.shape[-1]

    @property
    def bias(self) -> Tensor | None:
        """b = b_ih + b_hh, both trained."""
        return None if self.b_ih is None or self.b_hh is None else self.b_ih + self.b_hh


class LayerOutput(NamedTuple):
    """What a layer hands upward and onward."""

    y_TBH: Tensor
    s_BH: Tensor
    c_BH: Tensor


def masked(weight: Tensor, factor: Tensor | None) -> Tensor:
    """A weight [(K,) 4H, X] times its factor, which broadcasts against [(K,) G, H, X]."""
    if factor is None:
        return weight
    return (weight.unflatten(-2, (4, -1)) * factor).flatten(-3, -2).to(weight.dtype)


def reference_layer(
    x_TBD: Tensor,
    state: tuple[Tensor, Tensor],
    weights: LayerWeights,
    factors: Factors,
    hooks: LayerHooks = NO_HOOKS,
) -> LayerOutput:
    """Run one layer over a window; `state` is (s, c), each [B, H]. Differentiable by autograd."""

    def hooked(edge: Edge, value: Tensor, t: int) -> Tensor:
        return hooks[edge](value, step=t) if edge in hooks else value

    w_ih = masked(weights.w_ih, factors.get(Slot.INPUT_WEIGHT)).unflatten(0, (4, -1))
    w_hh = masked(weights.w_hh, factors.get(Slot.WEIGHT)).unflatten(0, (4, -1))
    w_hh = hooked(Edge.WEIGHT, w_hh, 0)
    bias = weights.bias
    s, c = state
    outputs = []
    for t, x in enumerate(x_TBD):
        now = {slot: _at(factor, t) for slot, factor in factors.items() if slot not in _OF_WEIGHTS}
        # Slots inside the step have one value for all gates.
        inside = {slot: f[:, 0] for slot, f in now.items() if slot not in _OF_GATES}
        u = hooked(Edge.INPUT, _for_gates(x, now.get(Slot.INPUT)), t)
        r = hooked(Edge.RECURRENT, _for_gates(s, now.get(Slot.RECURRENT)), t)
        z = _product(u, w_ih) + _product(r, w_hh)
        z = z if bias is None else z + bias.unflatten(0, (4, -1))
        at = Multiply(inside, lambda edge, value, t=t: hooked(edge, value, t))
        c, h, s = step(Gates(*z.unbind(1)), c, s, at)
        outputs.append(h)
    return LayerOutput(torch.stack(outputs), s, c)


def _for_gates(value_BX: Tensor, factor: Tensor | None) -> Tensor:
    """What each gate reads, [B, G, X]."""
    read = value_BX[:, None].expand(-1, 4, -1)
    return read if factor is None else read * factor


def _product(u_BGX: Tensor, w_GHX: Tensor) -> Tensor:
    """What each gate makes of what it reads, [B, G, H]."""
    return torch.einsum("bgx,ghx->bgh", u_BGX.to(w_GHX.dtype), w_GHX).to(u_BGX.dtype)


def _at(factor: Tensor, t: int) -> Tensor:
    """The factor of step `t`: [B, G, H], from [T, B, G, H] or from one that all steps share."""
    return factor[t if factor.shape[0] > 1 else 0]
