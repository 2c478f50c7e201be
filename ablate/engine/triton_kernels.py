"""The pointwise part of one step on a GPU: `kernels.py`'s equations, masks made in registers.

A kernel is compiled for the slots that act in some trial of the cohort, each of them a factor or a
toss, so that a silent slot costs nothing and no mask is ever written to memory. The backward pass
makes the masks again. A program takes BLOCK units of one row of one trial.

Everything but products is float32; products' operands and results may be bfloat16.

Shapes: K trials, B batch, H hidden; gates are [K, B, 4, H], or [K, 4, B, H] where they are apart.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportGeneralTypeIssues=false

from typing import Any, NamedTuple

import triton
import triton.language as tl

from ablate.engine.triton_philox import factor


class Slots(NamedTuple):
    """What a kernel finds at each slot of `factors.Slot`: None, a factor or a toss."""

    recurrent: Any = None
    state_hold: Any = None
    update: Any = None
    begin: Any = None
    cell: Any = None
    cell_hold: Any = None
    read: Any = None
    carry: Any = None
    carry_hold: Any = None
    hidden: Any = None
    hidden_hold: Any = None


@triton.jit
def _tanh(x):
    """tanh to a few ulp: a difference of exponentials, near 0 the first terms of its series."""
    square = x * x
    series = 21844.0 / 6081075.0
    series = series * square - 1382.0 / 155925.0
    series = series * square + 62.0 / 2835.0
    series = series * square - 17.0 / 315.0
    series = series * square + 2.0 / 15.0
    series = series * square - 1.0 / 3.0
    decay = tl.exp(-2.0 * tl.abs(x))
    far = (1.0 - decay) / (1.0 + decay)
    return tl.where(square < 0.09, x + x * square * series, tl.where(x < 0.0, -far, far))


@triton.jit
def _mixed(weight, new, old):
    """old + weight (new - old), at 0 and 1 without rounding."""
    return tl.where(weight == 1.0, new, old + weight * (new - old))


@triton.jit
def _gate(projection, product, bias, to_z, to_product, to_bias, gate, inside):
    """z of one gate: the projection of the input, the product with r_t and the bias."""
    z = tl.load(projection + to_z[0] + gate * to_z[1], mask=inside, other=0.0).to(tl.float32)
    here = product + to_product[0] + gate * to_product[1]
    z += tl.load(here, mask=inside, other=0.0).to(tl.float32)
    if bias is not None:
        z += tl.load(bias + to_bias[0] + gate * to_bias[1], mask=inside, other=0.0)
    return z


@triton.jit(do_not_specialize=["t", "t_next"])
def forward_kernel(
    projection,
    by_projection,
    product,
    by_product,
    bias,
    c,
    s,
    saved,
    c_out,
    h_out,
    s_out,
    r_out,
    slots,
    t,
    t_next,
    hidden,
    APART: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As `kernels._forward`; `saved` are i, f, a, o, q, and `s_out`, `r_out` None where not due.

    `by_...` are strides over K, G and B. Factors and tosses are a window's: step `t` is taken of
    them, of RECURRENT's the step `t_next`.
    """
    k, b = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    batch = tl.num_programs(1)
    units = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = units < hidden
    here = (k * batch + b) * hidden + units

    to_z = (k * by_projection[0] + b * by_projection[2] + units, by_projection[1])
    to_product = (k * by_product[0] + b * by_product[2] + units, by_product[1])
    to_bias = (k * 4 * hidden + units, hidden)
    i = tl.sigmoid(_gate(projection, product, bias, to_z, to_product, to_bias, 0, inside))
    f = tl.sigmoid(_gate(projection, product, bias, to_z, to_product, to_bias, 1, inside))
    a = _tanh(_gate(projection, product, bias, to_z, to_product, to_bias, 2, inside))
    o = tl.sigmoid(_gate(projection, product, bias, to_z, to_product, to_bias, 3, inside))

    before = tl.load(c + here, mask=inside, other=0.0)
    before = factor(slots.begin, k, t, b, 0, units, inside, BLOCK) * before
    g = factor(slots.update, k, t, b, 0, units, inside, BLOCK) * a
    cell = factor(slots.cell, k, t, b, 0, units, inside, BLOCK) * (f * before + i * g)
    if slots.cell_hold is not None:
        cell = _mixed(factor(slots.cell_hold, k, t, b, 0, units, inside, BLOCK), cell, before)
    q = _tanh(factor(slots.read, k, t, b, 0, units, inside, BLOCK) * cell)
    carried = factor(slots.carry, k, t, b, 0, units, inside, BLOCK) * cell
    if slots.carry_hold is not None:
        weight = factor(slots.carry_hold, k, t, b, 0, units, inside, BLOCK)
        carried = _mixed(weight, carried, before)
    h = factor(slots.hidden, k, t, b, 0, units, inside, BLOCK) * (o * q)
    if slots.hidden_hold is not None:
        old = tl.load(s + here, mask=inside, other=0.0)
        h = _mixed(factor(slots.hidden_hold, k, t, b, 0, units, inside, BLOCK), h, old)
    state = h
    if slots.state_hold is not None:
        old = tl.load(s + here, mask=inside, other=0.0)
        weight = factor(slots.state_hold, k, t, b, 0, units, inside, BLOCK)
        state = _mixed(weight, h, old)
        tl.store(s_out + here, state, mask=inside)

    tl.store(saved[0] + here, i, mask=inside)
    tl.store(saved[1] + here, f, mask=inside)
    tl.store(saved[2] + here, a, mask=inside)
    tl.store(saved[3] + here, o, mask=inside)
    tl.store(saved[4] + here, q, mask=inside)
    tl.store(c_out + here, carried, mask=inside)
    tl.store(h_out + here, h, mask=inside)
    if r_out is not None:
        for gate in tl.static_range(4 if APART else 1):
            r = factor(slots.recurrent, k, t_next, b, gate, units, inside, BLOCK) * state
            at = ((k * 4 + gate) * batch + b) * hidden + units if APART else here
            tl.store(r_out + at, r.to(r_out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["t", "t_next"])
def backward_kernel(
    gy,
    by_gy,
    p,
    ds_held,
    dc,
    saved,
    c_before,
    dz,
    by_dz,
    dc_out,
    ds_out,
    slots,
    t,
    t_next,
    hidden,
    APART: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """As `kernels._backward`; `ds_held` and `ds_out` are None where nothing holds the state.

    `by_gy` are strides over K and B, all else as in `forward_kernel`.
    """
    k, b = tl.program_id(2).to(tl.int64), tl.program_id(1).to(tl.int64)
    batch = tl.num_programs(1)
    units = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = units < hidden
    here = (k * batch + b) * hidden + units

    ds = tl.zeros((BLOCK,), tl.float32)
    for gate in tl.static_range(4 if APART else 1):
        at = ((k * 4 + gate) * batch + b) * hidden + units if APART else here
        read = tl.load(p + at, mask=inside, other=0.0).to(tl.float32)
        ds += factor(slots.recurrent, k, t_next, b, gate, units, inside, BLOCK) * read
    ds_before = tl.zeros((BLOCK,), tl.float32)
    if ds_held is not None:
        ds += tl.load(ds_held + here, mask=inside, other=0.0)
    if slots.state_hold is not None:
        new = factor(slots.state_hold, k, t, b, 0, units, inside, BLOCK) * ds
        ds_before += ds - new
        ds = new
    dh = tl.load(gy + k * by_gy[0] + b * by_gy[1] + units, mask=inside, other=0.0) + ds
    if slots.hidden_hold is not None:
        new = factor(slots.hidden_hold, k, t, b, 0, units, inside, BLOCK) * dh
        ds_before += dh - new
        dh = new
    dh = factor(slots.hidden, k, t, b, 0, units, inside, BLOCK) * dh

    o = tl.load(saved[3] + here, mask=inside, other=0.0)
    q = tl.load(saved[4] + here, mask=inside, other=0.0)
    dcell = factor(slots.read, k, t, b, 0, units, inside, BLOCK) * (dh * o * (1.0 - q * q))
    dcarried = tl.load(dc + here, mask=inside, other=0.0)
    dc_before = tl.zeros((BLOCK,), tl.float32)
    if slots.carry_hold is not None:
        new = factor(slots.carry_hold, k, t, b, 0, units, inside, BLOCK) * dcarried
        dc_before += dcarried - new
        dcarried = new
    dcell += factor(slots.carry, k, t, b, 0, units, inside, BLOCK) * dcarried
    if slots.cell_hold is not None:
        new = factor(slots.cell_hold, k, t, b, 0, units, inside, BLOCK) * dcell
        dc_before += dcell - new
        dcell = new
    dcell = factor(slots.cell, k, t, b, 0, units, inside, BLOCK) * dcell

    i = tl.load(saved[0] + here, mask=inside, other=0.0)
    f = tl.load(saved[1] + here, mask=inside, other=0.0)
    a = tl.load(saved[2] + here, mask=inside, other=0.0)
    begin = factor(slots.begin, k, t, b, 0, units, inside, BLOCK)
    update = factor(slots.update, k, t, b, 0, units, inside, BLOCK)
    before = begin * tl.load(c_before + here, mask=inside, other=0.0)
    di = dcell * (update * a) * i * (1.0 - i)
    df = dcell * before * f * (1.0 - f)
    da = update * (dcell * i) * (1.0 - a * a)
    do = dh * q * o * (1.0 - o)

    into = dz + k * by_dz[0] + b * by_dz[2] + units
    tl.store(into, di.to(dz.dtype.element_ty), mask=inside)
    tl.store(into + by_dz[1], df.to(dz.dtype.element_ty), mask=inside)
    tl.store(into + 2 * by_dz[1], da.to(dz.dtype.element_ty), mask=inside)
    tl.store(into + 3 * by_dz[1], do.to(dz.dtype.element_ty), mask=inside)
    tl.store(dc_out + here, begin * (dc_before + dcell * f), mask=inside)
    if ds_out is not None:
        tl.store(ds_out + here, ds_before, mask=inside)
