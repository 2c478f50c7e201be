"""The pointwise part of one step, forward and backward: one source, compiled or eager.

A pair of kernels is made for the set of slots that have a factor, so that a silent slot costs
nothing. Between two kernels stands one matrix product (four where RECURRENT gives each gate its
own mask): r_t W_hh^T on the way forward, p_t = dz_t W_hh on the way back. The kernel of step t
therefore also applies RECURRENT's factor of step t + 1, its product's neighbour, and hands products
their operands in their own dtype.

Shapes: K trials, B batch, H hidden; gates are [K, B, 4, H], or [K, 4, B, H] where they are apart.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.compiling import lowered
from ablate.engine.factors import Slot


class Kind(NamedTuple):
    """What a pair of kernels is specialised on; `product` is the dtype of products."""

    slots: tuple[Slot, ...]
    apart: bool = False
    bias: bool = True
    value: torch.dtype = torch.float32
    product: torch.dtype = torch.float32

    def has(self, slot: Slot) -> bool:
        return slot in self.slots

    @property
    def holds(self) -> bool:
        """Whether the state's old value can come back, so that its gradient skips a step."""
        return self.has(Slot.STATE_HOLD) or self.has(Slot.HIDDEN_HOLD)

    @property
    def gates(self) -> int:
        """The dimension of the gates."""
        return 1 if self.apart else 2

    @property
    def reads(self) -> bool:
        """Whether the next step reads something else than s_t itself."""
        return self.has(Slot.RECURRENT) or self.value != self.product


class Kernels(NamedTuple):
    """The pair; see `_forward` and `_backward` for their arguments."""

    forward: Callable[..., tuple[Tensor, ...]]
    backward: Callable[..., tuple[Tensor, ...]]


@functools.cache
def kernels(kind: Kind, *, eager: bool = False) -> Kernels:
    """The kernels of `kind`, made once a process."""

    def forward(*args: Tensor) -> tuple[Tensor, ...]:
        return _forward(kind, *args)

    def backward(*args: Tensor) -> tuple[Tensor, ...]:
        return _backward(kind, *args)

    if eager:
        return Kernels(forward, backward)
    return Kernels(
        lowered(forward, lambda: _examples(kind).forward),
        lowered(backward, lambda: _examples(kind).backward),
    )


class _Examples(NamedTuple):
    forward: tuple[Tensor, ...]
    backward: tuple[Tensor, ...]


def _examples(kind: Kind) -> _Examples:
    """Arguments as the loop hands them over: steps of a window are slices of its sequence."""
    trials, steps, batch, hidden = 3, 2, 20, 200

    def value(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return torch.zeros(trials, *shape, dtype=dtype)

    def step(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return value(steps, *shape, dtype=dtype)[:, 0]

    gates = (4, batch, hidden) if kind.apart else (batch, 4, hidden)
    state = [value(batch, hidden) for _ in range(2)]
    factors = [
        value(4, batch, hidden) if kind.apart and slot is Slot.RECURRENT else value(batch, hidden)
        for slot in kind.slots
    ]
    bias = [value(4, hidden)] if kind.bias else []
    forward = (
        step(*gates, dtype=kind.product),
        value(*gates, dtype=kind.product),
        *state,
        *bias,
        *factors,
    )
    read = (4, batch, hidden) if kind.apart else (batch, hidden)
    kept = [value(batch, hidden) for _ in range(6)]
    backward = (
        step(batch, hidden),
        value(*read, dtype=kind.product),
        *state,
        *kept,
        *factors,
    )
    return _Examples(forward, backward)


def _forward(
    kind: Kind, projection: Tensor, product: Tensor, c: Tensor, s: Tensor, *values: Tensor
) -> tuple[Tensor, ...]:
    """Return i, f, a, o, q, c_t, h_t, s_t, r_{t+1}; a = tanh(z_g), q = tanh(READ c~).

    z is the sum of `projection`, of `product` and, first of `values` where `kind.bias`, the bias
    [K, 4, H]; then come the factors of `kind.slots` in that order. s_t is left out where it equals
    h_t, r_{t+1} where it equals s_t.
    """
    z = projection.to(kind.value) + product.to(kind.value)
    if kind.bias:
        bias, *values = values  # pyright: ignore[reportAssignmentType]
        z = z + bias.unsqueeze(3 - kind.gates)
    factor = dict(zip(kind.slots, values, strict=True))
    i, f, a, o = z.unbind(kind.gates)
    i, f, a, o = i.sigmoid(), f.sigmoid(), a.tanh(), o.sigmoid()
    before = _times(factor, Slot.BEGIN, c)
    cell = _times(factor, Slot.CELL, f * before + i * _times(factor, Slot.UPDATE, a))
    cell = _held(factor, Slot.CELL_HOLD, cell, before)
    q = _times(factor, Slot.READ, cell).tanh()
    carried = _held(factor, Slot.CARRY_HOLD, _times(factor, Slot.CARRY, cell), before)
    hidden = _held(factor, Slot.HIDDEN_HOLD, _times(factor, Slot.HIDDEN, o * q), s)
    out = [i, f, a, o, q, carried, hidden]
    state = hidden
    if kind.has(Slot.STATE_HOLD):
        state = _held(factor, Slot.STATE_HOLD, hidden, s)
        out.append(state)
    if kind.reads:
        out.append(read(kind, factor.get(Slot.RECURRENT), state))
    return tuple(out)


def read(kind: Kind, factor: Tensor | None, s: Tensor) -> Tensor:
    """r, as the product takes it: [K, B, H], or [K, 4, B, H] where gates are apart."""
    if factor is None:
        return s.to(kind.product)
    return (factor * (s.unsqueeze(1) if kind.apart else s)).to(kind.product)


def _backward(
    kind: Kind,
    gy: Tensor,
    p: Tensor,
    ds_held: Tensor,
    dc: Tensor,
    i: Tensor,
    f: Tensor,
    a: Tensor,
    o: Tensor,
    q: Tensor,
    c_before: Tensor,
    *values: Tensor,
) -> tuple[Tensor, ...]:
    """Return dz_t as products take it, dc_{t-1} and the part of ds_{t-1} that HOLD hands back.

    `gy` is the gradient of h_t from above, `p` that of r_{t+1}, `ds_held` and `dc` what step t + 1
    handed back. The last result is left out where nothing holds the state.
    """
    factor = dict(zip(kind.slots, values, strict=True))
    ds = _times(factor, Slot.RECURRENT, p.to(kind.value))
    ds = ds.sum(1) if kind.apart else ds
    ds_before = torch.zeros_like(dc)
    if kind.holds:
        ds = ds + ds_held
    if kind.has(Slot.STATE_HOLD):
        ds, ds_before = _parts(factor[Slot.STATE_HOLD], ds)
    dh = gy + ds
    if kind.has(Slot.HIDDEN_HOLD):
        dh, dh_before = _parts(factor[Slot.HIDDEN_HOLD], dh)
        ds_before = ds_before + dh_before
    dh = _times(factor, Slot.HIDDEN, dh)
    dcell = _times(factor, Slot.READ, dh * o * (1.0 - q * q))
    dc_before = torch.zeros_like(dc)
    if kind.has(Slot.CARRY_HOLD):
        dc, dc_before = _parts(factor[Slot.CARRY_HOLD], dc)
    dcell = dcell + _times(factor, Slot.CARRY, dc)
    if kind.has(Slot.CELL_HOLD):
        dcell, dc_held = _parts(factor[Slot.CELL_HOLD], dcell)
        dc_before = dc_before + dc_held
    dcell = _times(factor, Slot.CELL, dcell)
    before = _times(factor, Slot.BEGIN, c_before)
    di = dcell * _times(factor, Slot.UPDATE, a) * i * (1.0 - i)
    df = dcell * before * f * (1.0 - f)
    da = _times(factor, Slot.UPDATE, dcell * i) * (1.0 - a * a)
    do = dh * q * o * (1.0 - o)
    dz = torch.stack((di, df, da, do), dim=kind.gates).to(kind.product)
    dc_before = _times(factor, Slot.BEGIN, dc_before + dcell * f)
    return (dz, dc_before, ds_before) if kind.holds else (dz, dc_before)


def _times(factor: dict[Slot, Tensor], slot: Slot, value: Tensor) -> Tensor:
    return factor[slot] * value if slot in factor else value


def _held(factor: dict[Slot, Tensor], slot: Slot, new: Tensor, old: Tensor) -> Tensor:
    if slot not in factor:
        return new
    # A companion in a cohort may bring a slot to a trial that has none: at 1 the new value is taken
    # as it is, where old + 1 (new - old) would round.
    weight = factor[slot]
    return torch.where(weight == 1.0, new, old + weight * (new - old))


def _parts(factor: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Split the gradient of old + factor (new - old) into that of new and that of old."""
    new = factor * gradient
    return new, gradient - new
