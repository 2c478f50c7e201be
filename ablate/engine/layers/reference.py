"""The specification: one layer over a window as a loop over time, read off the listing.

Every other path is tested against this one, value by value and gradient by gradient. It is written
to be read aloud, not to be fast.

Products are taken in the dtype of the weight, everything else in the dtype of the input: weights in
bfloat16 below float32 inputs give bfloat16 products and a float32 state.

Shapes: T time, B batch, D input, H hidden, G gates of the cell.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.cells import LSTM, Cell, Gates
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.sites import Factors
from ablate.engine.step import Multiply, step

# What replaces the value at an edge's place of the listing, dropout applied: (value, step=t) ->
# value. INPUT is whatever the layer reads, INTERLAYER's place included.
LayerHooks = Mapping[Edge, Callable[..., Tensor]]

NO_HOOKS: LayerHooks = MappingProxyType({})

_OF_WEIGHTS = frozenset({sites.INPUT_WEIGHT, sites.WEIGHT})
_OF_GATES = frozenset({sites.INPUT, sites.RECURRENT})


class LayerWeights(NamedTuple):
    """One layer's parameters under PyTorch's names and shapes; biases may be None."""

    w_ih: Tensor  # [GH, D]
    w_hh: Tensor  # [GH, H]
    b_ih: Tensor | None = None  # [GH]
    b_hh: Tensor | None = None  # [GH]

    @property
    def hidden(self) -> int:
        return self.w_hh.shape[-1]

    def biases(self, cell: Cell) -> tuple[Tensor, ...]:
        """b = b_ih + b_hh, both trained; each by itself where the cell keeps z's parts apart."""
        if self.b_ih is None or self.b_hh is None:
            return ()
        return (self.b_ih, self.b_hh) if cell.splits else (self.b_ih + self.b_hh,)


class LayerOutput(NamedTuple):
    """What a layer hands upward, and the parts of the state that it hands onward."""

    y_TBH: Tensor
    state: tuple[Tensor, ...]


def masked(weight: Tensor, factor: Tensor | None, gates: int) -> Tensor:
    """A weight [(K,) GH, X] times its factor, which broadcasts against [(K,) G, H, X]."""
    if factor is None:
        return weight
    return (weight.unflatten(-2, (gates, -1)) * factor).flatten(-3, -2).to(weight.dtype)


def reference_layer(
    x_TBD: Tensor,
    state: tuple[Tensor, ...],
    weights: LayerWeights,
    factors: Factors,
    hooks: LayerHooks = NO_HOOKS,
    *,
    cell: Cell = LSTM,
) -> LayerOutput:
    """Run one layer over a window; differentiable by autograd.

    `state` is the cell's, [B, H] each: s, which the gates read, first.
    """
    gates = len(cell.gates)

    def hooked(edge: Edge, value: Tensor, t: int) -> Tensor:
        return hooks[edge](value, step=t) if edge in hooks else value

    w_ih = masked(weights.w_ih, factors.get(sites.INPUT_WEIGHT), gates).unflatten(0, (gates, -1))
    w_hh = masked(weights.w_hh, factors.get(sites.WEIGHT), gates).unflatten(0, (gates, -1))
    w_hh = hooked(Edge.WEIGHT, w_hh, 0)
    biases = [bias.unflatten(0, (gates, -1)) for bias in weights.biases(cell)]
    s, *rest = state
    outputs = []
    for t, x in enumerate(x_TBD):
        now = {site: _at(factor, t) for site, factor in factors.items() if site not in _OF_WEIGHTS}
        # Sites inside the step have one value for all gates.
        inside = {site: f[:, 0] for site, f in now.items() if site not in _OF_GATES}
        u = hooked(Edge.INPUT, _for_gates(x, gates, now.get(sites.INPUT)), t)
        r = hooked(Edge.RECURRENT, _for_gates(s, gates, now.get(sites.RECURRENT)), t)
        z = _z(cell, _product(u, w_ih), _product(r, w_hh), biases)
        at = Multiply(inside, lambda edge, value, t=t: hooked(edge, value, t))
        h, s, rest = step(cell, z, s, rest, at)
        outputs.append(h)
    return LayerOutput(torch.stack(outputs), (s, *rest))


def _z(cell: Cell, of_x_BGH: Tensor, of_h_BGH: Tensor, biases: Sequence[Tensor]) -> Gates:
    """What the gates read, by their letters: the sum of z's parts, or each where a cell asks."""
    parts = [of_x_BGH, of_h_BGH] if cell.splits else [of_x_BGH + of_h_BGH]
    if biases:
        parts = [part + bias for part, bias in zip(parts, biases, strict=True)]
    each = [Gates(**dict(zip(cell.gates, part.unbind(1), strict=True))) for part in parts]
    return Gates(x=each[0], h=each[1]) if cell.splits else each[0]


def _for_gates(value_BX: Tensor, gates: int, factor: Tensor | None) -> Tensor:
    """What each gate reads, [B, G, X]."""
    read = value_BX[:, None].expand(-1, gates, -1)
    return read if factor is None else read * factor


def _product(u_BGX: Tensor, w_GHX: Tensor) -> Tensor:
    """What each gate makes of what it reads, [B, G, H]."""
    return torch.einsum("bgx,ghx->bgh", u_BGX.to(w_GHX.dtype), w_GHX).to(u_BGX.dtype)


def _at(factor: Tensor, t: int) -> Tensor:
    """The factor of step `t`: [B, G, H], from [T, B, G, H] or from one that all steps share."""
    return factor[t if factor.shape[0] > 1 else 0]
