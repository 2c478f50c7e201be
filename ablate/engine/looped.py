"""Any placement: one `autograd.Function` over the window, its backward pass written by hand.

What does not depend on h_{t-1} is one large product over all steps: the input projection forward;
the gradients of both weights and of the input backward. In the loop remain one product and one
fused pointwise kernel a step. So a layer takes T + 1 products forward and T + 3 backward, and four
times as many in the loop where RECURRENT gives each gate its own mask.

Products are taken in the dtype of the weight, everything else in the dtype of the input.

Shapes: T time, B batch, D input, H hidden, G gates (i, f, g, o).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ablate.engine.factors import Factors, Slot
from ablate.engine.kernels import Kind, kernels
from ablate.engine.precision import without_autocast
from ablate.engine.reference import LayerOutput, LayerWeights, masked

# Slots that act on a weight or on the whole input are applied before the loop.
_BEFORE_THE_LOOP = (Slot.INPUT, Slot.INPUT_WEIGHT, Slot.WEIGHT)


def looped_layer(
    x_TBD: Tensor,
    state: tuple[Tensor, Tensor],
    weights: LayerWeights,
    factors: Factors,
    *,
    eager: bool = False,
) -> LayerOutput:
    """Run one layer over a window, as `reference_layer`; `eager` leaves the kernels uncompiled."""
    w_ih = masked(weights.w_ih, factors.get(Slot.INPUT_WEIGHT))
    w_hh = masked(weights.w_hh, factors.get(Slot.WEIGHT))
    projection = _project(x_TBD, w_ih, weights.bias, factors.get(Slot.INPUT))
    slots = tuple(slot for slot in Slot if slot in factors and slot not in _BEFORE_THE_LOOP)
    recurrent = factors.get(Slot.RECURRENT)
    kind = Kind(slots, apart=recurrent is not None and recurrent.shape[2] > 1)
    if kind.apart:
        # [T, G, B, H], so that each gate's product is contiguous.
        projection = projection.unflatten(-1, (4, -1)).transpose(1, 2)
    values = tuple(factors[slot] for slot in slots)
    # Without gradients there is no backward pass to keep a tape for.
    if torch.is_grad_enabled():
        out = _Loop.apply(projection, *state, w_hh, kind, eager, *values)
    else:
        out = _run(projection, *state, w_hh, kind, eager, values, tape=None)
    return LayerOutput(*out)  # pyright: ignore[reportGeneralTypeIssues]


def _project(x: Tensor, w_ih: Tensor, bias: Tensor | None, factor: Tensor | None) -> Tensor:
    """The part of z that needs no state, [T, B, 4H]: one product, four where gates are apart."""
    if factor is None or factor.shape[2] == 1:
        u = x if factor is None else x * factor[:, :, 0]
        if u.dtype == w_ih.dtype:
            return torch.nn.functional.linear(u, w_ih, bias)
        z = torch.nn.functional.linear(u.to(w_ih.dtype), w_ih).to(u.dtype)
    else:
        u_GND = (x[:, :, None] * factor).flatten(0, 1).transpose(0, 1).to(w_ih.dtype)
        z_GNH = torch.bmm(u_GND, w_ih.unflatten(0, (4, -1)).transpose(1, 2)).to(x.dtype)
        z = z_GNH.transpose(0, 1).reshape(*x.shape[:2], -1)
    return z if bias is None else z + bias


class _Tape(NamedTuple):
    """What the backward pass reads, by step; `cells` and `rs` are c_{t-1} and r_t as multiplied."""

    saved: list[tuple[Tensor, ...]]
    cells: list[Tensor]
    rs: list[Tensor]


def _run(
    projection: Tensor,
    s: Tensor,
    c: Tensor,
    w_hh: Tensor,
    kind: Kind,
    eager: bool,
    values: tuple[Tensor, ...],
    *,
    tape: _Tape | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loop over time: y, s_T, c_T; what the backward pass needs goes onto `tape`."""
    step = kernels(kind, eager=eager).forward
    steps = projection.shape[0]
    masks = _by_step(kind, values, steps)
    recurrent = _recurrent(kind, values, steps)
    w_step = _step_weight(w_hh, kind).transpose(-1, -2)
    add_product = _add_product(projection.dtype, w_hh.dtype, apart=kind.apart)
    r = s if recurrent is None else recurrent[0] * s
    outputs = []
    for t, z_input in enumerate(projection.unbind(0)):
        before, read = c, r.to(w_hh.dtype)
        i, f, a, o, q, c, h, *rest = step(add_product(z_input, read, w_step), c, s, *masks[t])
        s = rest[0] if kind.has(Slot.STATE_HOLD) else h
        r = rest[-1] if kind.has(Slot.RECURRENT) else s
        outputs.append(h)
        if tape is not None:
            tape.saved.append((i, f, a, o, q))
            tape.cells.append(before)
            tape.rs.append(read)
    return torch.stack(outputs), s, c


class _Loop(torch.autograd.Function):
    """The loop over time of one layer: projection, s_0, c_0, W_hh -> y, s_T, c_T."""

    @staticmethod
    def forward(
        ctx: Any,
        projection: Tensor,
        s: Tensor,
        c: Tensor,
        w_hh: Tensor,
        kind: Kind,
        eager: bool,
        *values: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tape = _Tape([], [], [])
        out = _run(projection, s, c, w_hh, kind, eager, values, tape=tape)
        ctx.kind, ctx.eager = kind, eager
        # Through autograd's own store, which is emptied after the backward pass, while attributes
        # of ctx live as long as any output does.
        flat = [tensor for step in tape.saved for tensor in step]
        ctx.save_for_backward(w_hh, *tape.cells, *tape.rs, *flat, *values)
        ctx.steps = len(tape.rs)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # `once_differentiable` lets create_graph pass where no gradient that arrives needs one.
        if torch.is_grad_enabled():
            raise RuntimeError(
                "the looped path has no second derivative; take the reference path for one"
            )
        # Whoever calls backward() below autocast still gets this loop's own dtypes.
        with without_autocast(grad_outputs[0].device):
            return _unrolled(ctx, *grad_outputs)


def _unrolled(ctx: Any, gy: Tensor, gs: Tensor, gc: Tensor) -> tuple[Tensor | None, ...]:
    """The loop run backward: gradients of projection, s_0, c_0 and W_hh, None for the rest."""
    kind: Kind = ctx.kind
    steps: int = ctx.steps
    w_hh, *kept = ctx.saved_tensors
    cells, rs, flat = kept[:steps], kept[steps : 2 * steps], kept[2 * steps : 7 * steps]
    saved = [flat[5 * t : 5 * t + 5] for t in range(steps)]
    values = tuple(kept[7 * steps :])
    gradients = gy.contiguous().unbind(0)
    step = kernels(kind, eager=ctx.eager).backward
    masks = _by_step(kind, values, steps)
    recurrent = _recurrent(kind, values, steps)
    w_step = _step_weight(w_hh, kind)
    p, dc = gs, gc
    ds_held = torch.zeros_like(gs)
    dzs: list[Tensor] = []
    for t in range(steps - 1, -1, -1):
        masks_t = masks[t]
        if t == steps - 1 and recurrent is not None:
            # The last state meets no further read: its gradient arrives whole.
            masks_t = _unread(kind, masks_t)
            p = torch.stack((gs, *(torch.zeros_like(gs),) * 3)) if kind.apart else gs
        dz, dc, *held = step(gradients[t], p, ds_held, dc, *saved[t], cells[t], *masks_t)
        ds_held = held[0] if held else ds_held
        dz_w = dz.to(w_hh.dtype)
        p = (torch.bmm(dz_w, w_step) if kind.apart else torch.mm(dz_w, w_step)).to(dz.dtype)
        dzs.append(dz)
    ds = p if recurrent is None else recurrent[0] * p
    ds = ds.sum(0) if kind.apart else ds
    dzs.reverse()
    dz_all, r_all = torch.stack(dzs), torch.stack(rs)
    dz_w = dz_all.to(w_hh.dtype)
    if kind.apart:
        dz_GNH, r_GNH = (x.transpose(0, 1).flatten(1, 2) for x in (dz_w, r_all))
        dw = torch.bmm(dz_GNH.transpose(1, 2), r_GNH).flatten(0, 1)
    else:
        dw = dz_w.flatten(0, 1).t() @ r_all.flatten(0, 1)
    return dz_all, ds + ds_held, dc, dw, None, None, *(None,) * len(values)


def _add_product(
    dtype: torch.dtype, product_dtype: torch.dtype, *, apart: bool
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """z + r w: one call where the dtypes are equal, else the product in the dtype of the weight."""
    if dtype == product_dtype:
        return torch.baddbmm if apart else torch.addmm
    return lambda z, r, w: z + torch.matmul(r, w).to(dtype)


def _step_weight(w_hh: Tensor, kind: Kind) -> Tensor:
    return w_hh.unflatten(0, (4, -1)) if kind.apart else w_hh


def _steps(factor: Tensor, steps: int, *, apart: bool) -> tuple[Tensor, ...]:
    """The factor of each step: [B, H], or [G, B, H] where gates are apart."""
    value = factor.transpose(1, 2) if apart else factor[:, :, 0]
    return value.unbind(0) if value.shape[0] == steps else (value[0],) * steps


def _recurrent(kind: Kind, values: tuple[Tensor, ...], steps: int) -> tuple[Tensor, ...] | None:
    if not kind.has(Slot.RECURRENT):
        return None
    return _steps(values[kind.slots.index(Slot.RECURRENT)], steps, apart=kind.apart)


def _by_step(kind: Kind, values: tuple[Tensor, ...], steps: int) -> list[tuple[Tensor, ...]]:
    """For each step the factors in the kernels' order; RECURRENT's is that of the next step."""
    columns = []
    for slot, value in zip(kind.slots, values, strict=True):
        apart = slot is Slot.RECURRENT and kind.apart
        column = _steps(value, steps, apart=apart)
        columns.append(column[1:] + column[-1:] if slot is Slot.RECURRENT else column)
    return list(zip(*columns, strict=True)) if columns else [()] * steps


def _unread(kind: Kind, factors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(
        torch.ones_like(factor) if slot is Slot.RECURRENT else factor
        for slot, factor in zip(kind.slots, factors, strict=True)
    )
