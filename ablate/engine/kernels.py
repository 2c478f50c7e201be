"""The pointwise part of one step, forward and backward: one source, compiled or eager.

A pair of kernels is made for the set of slots that have a factor, so that a silent slot costs
nothing. Between two kernels stands one matrix product (four where RECURRENT gives each gate its
own mask): z_t = projection_t + r_t W_hh^T on the way forward, p_t = dz_t W_hh on the way back. The
kernel of step t therefore also applies RECURRENT's factor of step t + 1, its product's neighbour.

Shapes: B batch, H hidden; z and dz are [B, 4H], or [4, B, H] where gates are apart.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.compiling import compiled
from ablate.engine.factors import Slot


class Kind(NamedTuple):
    """What a pair of kernels is specialised on."""

    slots: tuple[Slot, ...]
    apart: bool

    def has(self, slot: Slot) -> bool:
        return slot in self.slots

    @property
    def holds(self) -> bool:
        """Whether the state's old value can come back, so that its gradient skips a step."""
        return self.has(Slot.STATE_HOLD) or self.has(Slot.HIDDEN_HOLD)


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

    return Kernels(forward, backward) if eager else Kernels(compiled(forward), compiled(backward))


def _forward(kind: Kind, z: Tensor, c: Tensor, s: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Return i, f, a, o, q, c_t, h_t, s_t, r_{t+1}; a = tanh(z_g), q = tanh(READ c~).

    `values` are the factors of `kind.slots` in that order; s_t and r_{t+1} are left out where they
    equal h_t.
    """
    factor = dict(zip(kind.slots, values, strict=True))
    i, f, a, o = z.unbind(0) if kind.apart else z.chunk(4, dim=-1)
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
    if kind.has(Slot.RECURRENT):
        out.append(factor[Slot.RECURRENT] * state)
    return tuple(out)


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
    """Return dz_t, dc_{t-1} and the part of ds_{t-1} that HOLD hands back.

    `gy` is the gradient of h_t from above, `p` that of r_{t+1}, `ds_held` and `dc` what step t + 1
    handed back. The last result is left out where nothing holds the state.
    """
    factor = dict(zip(kind.slots, values, strict=True))
    ds = _times(factor, Slot.RECURRENT, p)
    ds = ds.sum(0) if kind.apart else ds
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
    dz = torch.stack((di, df, da, do)) if kind.apart else torch.cat((di, df, da, do), dim=-1)
    dc_before = _times(factor, Slot.BEGIN, dc_before + dcell * f)
    return (dz, dc_before, ds_before) if kind.holds else (dz, dc_before)


def _times(factor: dict[Slot, Tensor], slot: Slot, value: Tensor) -> Tensor:
    return factor[slot] * value if slot in factor else value


def _held(factor: dict[Slot, Tensor], slot: Slot, new: Tensor, old: Tensor) -> Tensor:
    return old + factor[slot] * (new - old) if slot in factor else new


def _parts(factor: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Split the gradient of old + factor (new - old) into that of new and that of old."""
    new = factor * gradient
    return new, gradient - new
