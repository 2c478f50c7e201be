"""Any placement: one `autograd.Function` over a layer's window, whose loop over time is ours.

    u_t (all t)                 z = u W_ih^T         one product
    forward,  t = 1 .. T        z_t += r_t W_hh^T    one product a step
                                h_t, state_t, r_{t+1} = step(z_t, state_{t-1})
    backward, t = T .. 1        dz_t, dstate_{t-1} = the step's derivative; dr_t = dz_t W_hh
    dz_t (all t)                du = dz W_ih, dW_ih = dz^T u, dW_hh = dz^T r

The step and its derivative are `step.kernels`. Of a cell that keeps z's parts apart dz is two, that
of W_ih u and that of W_hh r. A layer takes T + 1 products forward and T + 3 backward, and G times
as many where INPUT or RECURRENT gives each gate its own mask.

All trials of a cohort run at once, their products batched; a trial alone is a cohort of one.
Products are taken in the dtype of the weight, everything else in the dtype of the input.

Shapes: K trials, T time, B batch, N = T * B, D input, H hidden, G gates of the cell, I = GH.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ablate.cells import LSTM, Cell
from ablate.compiling import can_compile, eagerly
from ablate.engine import sites
from ablate.engine.capturing import batched
from ablate.engine.layers.reference import LayerOutput, LayerWeights, masked
from ablate.engine.precision import without_autocast
from ablate.engine.sites import Factors, Site
from ablate.engine.step import KernelSpec, kernels, padded

# Slots that act on a weight or on the whole input are applied before the loop.
_BEFORE_THE_LOOP = {sites.INPUT, sites.INPUT_WEIGHT, sites.WEIGHT}

# Numbers of a tile of a GPU's products.
_TILE = 64


def looped_layer(
    x_KTBD: Tensor,
    state: tuple[Tensor, ...],
    weights: LayerWeights,
    factors: Factors,
    *,
    cell: Cell = LSTM,
) -> LayerOutput:
    """Run one layer of K trials over a window, each as `reference_layer`.

    `state` is [K, B, H] each, `weights` and `factors` are the reference's with K in front.
    """
    gates = len(cell.gates)
    w_ih = _aligned(masked(weights.w_ih, factors.get(sites.INPUT_WEIGHT), gates))
    w_hh = _aligned(masked(weights.w_hh, factors.get(sites.WEIGHT), gates))
    biases = [bias.unflatten(1, (gates, -1)) for bias in weights.biases(cell)]
    u_KGND = _aligned(_read_input(x_KTBD, factors.get(sites.INPUT)).to(w_ih.dtype))
    inside = tuple(sorted(factors.keys() - _BEFORE_THE_LOOP))
    recurrent = factors.get(sites.RECURRENT)
    spec = KernelSpec(
        cell,
        inside,
        apart=recurrent is not None and recurrent.shape[3] > 1,
        bias=bool(biases),
        value=x_KTBD.dtype,
        product=w_hh.dtype,
        padding=w_hh.shape[-1] - weights.hidden,
    )
    shape = (x_KTBD.shape[1], *state[0].shape)
    by_step = [_by_step(spec, site, factors[site], shape) for site in inside]
    parts = [value.contiguous() for value in state]
    first = by_step[inside.index(sites.RECURRENT)][0] if recurrent is not None else None
    given = (spec, u_KGND, spec.read(first, parts[0]), w_ih, w_hh, *parts, *biases, *by_step)
    # Without gradients there is no backward pass to keep a tape for.
    made = _Layer.apply(*given) if torch.is_grad_enabled() else _run(*given, tape=None)
    y_KTBH, *last = made  # pyright: ignore[reportGeneralTypeIssues]
    return LayerOutput(y_KTBH, tuple(last))


def padding_of(width: int, dtype: torch.dtype, device: torch.device) -> int:
    """The zeros behind rows of this width that a product reads.

    A GPU's fast kernels for bfloat16 take rows that begin at multiples of 16 bytes, and are fastest
    at multiples of a tile: 650 numbers are 1,300 bytes. On a CPU a row's width costs what it is.
    """
    return -width % _TILE if device.type == "cuda" and dtype == torch.bfloat16 else 0


def _aligned(value: Tensor) -> Tensor:
    return padded(value, padding_of(value.shape[-1], value.dtype, value.device))


def _by_step(spec: KernelSpec, site: Site, factor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A factor [K, T, B, G, H] as the kernels take it: [T, K, B, H], or [T, K, G, B, H] apart.

    Written out over trials, batch and units, so that a kernel knows one pattern only; over time a
    shared factor is not copied.
    """
    steps, trials, batch, hidden = shape
    value = factor.transpose(0, 1)
    value = value.transpose(2, 3) if spec.apart and site == sites.RECURRENT else value[:, :, :, 0]
    gates = value.shape[2:3] if value.dim() == 5 else ()
    value = value.expand(-1, trials, *gates, batch, hidden).contiguous()
    return value.expand(steps, *value.shape[1:])


def _rows(spec: KernelSpec, by_step: Sequence[Tensor], steps: int) -> list[tuple[Tensor, ...]]:
    """The factors that each step's kernel takes, RECURRENT's of the step that follows."""
    columns = []
    for site, value in zip(spec.sites, by_step, strict=True):
        column = value.unbind(0)
        # Nobody reads what the last step hands on.
        columns.append(column[1:] + column[-1:] if site == sites.RECURRENT else column)
    return list(zip(*columns, strict=True)) if columns else [()] * steps


def _read_input(x_KTBD: Tensor, factor: Tensor | None) -> Tensor:
    """What the gates read of the input, [K, G, N, D]: one row of it for all, or one for each."""
    if factor is None:
        return x_KTBD.flatten(1, 2).unsqueeze(1)
    if factor.shape[3] == 1:
        return (x_KTBD * factor[:, :, :, 0]).flatten(1, 2).unsqueeze(1)
    return (x_KTBD.unsqueeze(3) * factor).flatten(1, 2).transpose(1, 2)


class _Tape(NamedTuple):
    """What the backward pass reads, by step: r_t, and what a step's kernel keeps."""

    reads: list[Tensor]
    kept: list[tuple[Tensor, ...]]


def product(a_KMX: Tensor, b_KXN: Tensor) -> Tensor:
    """A product for each trial, [K, M, N], the same bits whoever else is in the cohort.

    With two threads the library divides a float32 product between them otherwise alone than in a
    batch. With one thread, and in bfloat16, both were measured to be equal.
    """
    alone = a_KMX.device.type != "cpu" or torch.get_num_threads() == 1
    if a_KMX.dtype == torch.bfloat16 or a_KMX.shape[0] == 1 or alone:
        return torch.bmm(a_KMX, b_KXN)
    return torch.stack([torch.mm(a, b) for a, b in zip(a_KMX, b_KXN, strict=True)])


def _step_product(w_KIH: Tensor) -> Callable[[Tensor], Tensor]:
    """r_t [K, B, H] -> r_t W^T [K, B, I], for every step of a window.

    On a CPU, in bfloat16, the library is fastest with the weight on the left, the copy that turns
    the result included; in float32 with a contiguous weight on the right, most of all with several
    threads. A GPU's takes the weight as it lies.
    """
    if w_KIH.device.type != "cpu":
        return lambda r: torch.bmm(r, w_KIH.mT)
    if w_KIH.dtype == torch.bfloat16:
        return partial(_turned_product, w_KIH)
    w_KHI = w_KIH.transpose(1, 2).contiguous()
    return lambda r: product(r, w_KHI)


def _step_product_back(w_KIH: Tensor) -> Callable[[Tensor], Tensor]:
    """dz_t [K, B, I] -> dz_t W [K, B, H], for every step of a window, as `_step_product`."""
    if w_KIH.device.type == "cpu" and w_KIH.dtype == torch.bfloat16:
        return partial(_turned_product, w_KIH.transpose(1, 2).contiguous())
    return lambda dz: product(dz, w_KIH)


def _turned_product(w_KXY: Tensor, a_KBY: Tensor) -> Tensor:
    """a W^T [K, B, X] with the weight on the left."""
    return torch.bmm(w_KXY, a_KBY.transpose(1, 2)).transpose(1, 2).contiguous()


def _by_gate(w_KIX: Tensor, gates: int) -> Tensor:
    """A weight [K, GH, X] as [K * G, H, X]."""
    return w_KIX.unflatten(1, (gates, -1)).flatten(0, 1)


def _projection(u_KGND: Tensor, w_ih: Tensor, spec: KernelSpec, batch: int) -> Tensor:
    """The part of z that needs no state, [K, T, B, G, H], or [K, T, G, B, H] with gates apart."""
    gates = len(spec.cell.gates)
    if u_KGND.shape[1] == 1:
        z = product(u_KGND[:, 0], w_ih.transpose(1, 2)).unflatten(-1, (gates, -1))
        z = z.unflatten(1, (-1, batch))
        return z.transpose(2, 3).contiguous() if spec.apart else z
    z = (
        product(u_KGND.flatten(0, 1), _by_gate(w_ih, gates).transpose(1, 2))
        .unflatten(0, (-1, gates))
        .unflatten(2, (-1, batch))
    )
    return z.permute((0, 2, 1, 3, 4) if spec.apart else (0, 2, 3, 1, 4)).contiguous()


def _run(
    spec: KernelSpec,
    u_KGND: Tensor,
    r: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    *given: Tensor,
    tape: _Tape | None,
) -> tuple[Tensor, ...]:
    """The loop over time: y and the last state's parts; what backward needs goes onto `tape`.

    `given` are the state's parts, biases and factors.
    """
    step, count, holds = kernels(spec), len(spec.cell.state), spec.holds
    s, *rest = given[:count]
    biases, by_step = given[count : count + spec.biases], given[count + spec.biases :]
    projections = _projection(u_KGND, w_ih, spec, s.shape[1]).unbind(1)
    read_by = _step_product(_by_gate(w_hh, len(spec.cell.gates)) if spec.apart else w_hh)
    # Of a step's inputs the tape keeps what the loop makes; biases and factors are at hand.
    changing = [place for place in step.reads if place < 2 + count]
    shape = projections[0].shape
    outputs = []
    for projection, factors in zip(
        projections, _rows(spec, by_step, len(projections)), strict=True
    ):
        product = read_by(r.flatten(0, 1) if spec.apart else r).view(shape)
        inputs = (projection, product, s, *rest, *biases, *factors)
        made = step.forward(*inputs)
        if tape is not None:
            tape.reads.append(r)
            tape.kept.append((*(inputs[place] for place in changing), *made[step.distinct :]))
        h, *rest, r = (made[place] for place in step.places)
        s = rest.pop() if holds else h
        outputs.append(h)
    return torch.stack(outputs, dim=1), s, *rest


class _Layer(torch.autograd.Function):
    """One layer's window: u, r_1, W_ih, W_hh, the state, biases -> y and the last state.

    r_1 is what the first step's product reads of s_0: its factor is autograd's to differentiate.
    """

    @staticmethod
    def forward(
        ctx: Any,
        spec: KernelSpec,
        u_KGND: Tensor,
        r: Tensor,
        w_ih: Tensor,
        w_hh: Tensor,
        *given: Tensor,
    ) -> tuple[Tensor, ...]:
        tape = _Tape([], [])
        out = _run(spec, u_KGND, r, w_ih, w_hh, *given, tape=tape)
        ctx.spec, ctx.steps = spec, len(tape.reads)
        ctx.compiled = can_compile(out[0].device.type)
        # Through autograd's own store, which is emptied after the backward pass, while attributes
        # of ctx live as long as any output does.
        flat = [tensor for step in tape.kept for tensor in step]
        constant = given[len(spec.cell.state) :]
        ctx.save_for_backward(u_KGND, w_ih, w_hh, *constant, *tape.reads, *flat)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # `once_differentiable` lets create_graph pass where no gradient that arrives needs one.
        if torch.is_grad_enabled() or batched(*grad_outputs):
            raise RuntimeError(
                "the looped path has no second derivative and no batched gradients; the reference "
                "path, which a module takes below torch.func and while it has a hook, has both: "
                "`module.hook(ablate.Edge.OUTPUT, lambda value: value)`"
            )
        # Whoever calls backward() below autocast still gets this loop's own dtypes. A GPU's
        # gradients are taken in a thread that does not know of `eagerly`.
        as_before = nullcontext() if ctx.compiled else eagerly()
        with without_autocast(grad_outputs[0].device), as_before:
            return _unrolled(ctx, *grad_outputs)


def _unrolled(ctx: Any, gy: Tensor, gs: Tensor, *grest: Tensor) -> tuple[Tensor | None, ...]:
    """The loop run back: gradients of all that `_Layer.forward` takes, None for factors."""
    spec: KernelSpec = ctx.spec
    length: int = ctx.steps
    step, gates, splits = kernels(spec), len(spec.cell.gates), spec.cell.splits
    count = len(spec.cell.state)
    u_KGND, w_ih, w_hh, *saved = ctx.saved_tensors
    constants = spec.biases + len(spec.sites)
    constant, reads = saved[:constants], saved[constants:][:length]
    flat = saved[constants + length :]
    kept = list(zip(*[iter(flat)] * (len(flat) // length), strict=True))
    biases = constant[: spec.biases]
    rows = _rows(spec, constant[spec.biases :], length)
    # Of a step's inputs, those that the tape has stand before biases and factors.
    fixed = [place - 2 - count for place in step.reads if place >= 2 + count]
    changing = len(step.reads) - len(fixed)
    gradients = list(gy.contiguous().unbind(1))
    read_back = _step_product_back(_by_gate(w_hh, gates) if spec.apart else w_hh)
    # Nothing reads the last state: its gradient comes by the way of a held one, or as its output's.
    back = [*(own.contiguous() for own in grest), *([gs.contiguous()] if spec.holds else [])]
    if not spec.holds:
        gradients[-1] = gradients[-1] + gs
    dr = torch.zeros_like(reads[-1])
    dzs: list[Sequence[Tensor]] = []
    for t in range(length - 1, -1, -1):
        own, here = kept[t], (*biases, *rows[t])
        made = step.backward(
            gradients[t],
            *back,
            dr,
            *own[:changing],
            *(here[place] for place in fixed),
            *own[changing:],
        )
        dz, back = made[: 1 + splits], made[1 + splits :]
        dr = read_back(dz[-1].flatten(0, 1) if spec.apart else dz[-1].flatten(2, 3))
        dr = dr.unflatten(0, (-1, gates)) if spec.apart else dr
        dzs.append(dz)
    *drest, ds = back if spec.holds else (*back, torch.zeros_like(gs))
    dzs.reverse()
    # One for z, or one for each of its parts.
    parts = [torch.stack(own, dim=1) for own in zip(*dzs, strict=True)]
    r = torch.stack(reads, dim=1)
    del dzs, reads, saved, flat, kept
    du, dw_ih = _gradients(_gates(parts[0], spec, u_KGND.shape[1]), u_KGND, w_ih)
    r_KGNH = r.transpose(1, 2).flatten(2, 3) if spec.apart else r.flatten(1, 2).unsqueeze(1)
    dw_hh = _weight_gradient(_gates(parts[-1], spec, r_KGNH.shape[1]), r_KGNH)
    db = [_bias_gradient(_gates(own, spec, 1)[:, 0], spec) for own in parts] if spec.bias else []
    return (None, du, dr, dw_ih, dw_hh, ds, *drest, *db, *[None] * len(spec.sites))


def _gates(dz: Tensor, spec: KernelSpec, gates: int) -> Tensor:
    """dz [K, T, B, G, H] (apart [K, T, G, B, H]) as [K, G, N, H], or joined [K, 1, N, GH]."""
    if gates == 1:
        dz = dz.transpose(2, 3) if spec.apart else dz
        return dz.flatten(3, 4).flatten(1, 2).unsqueeze(1)
    return dz.permute((0, 2, 1, 3, 4) if spec.apart else (0, 3, 1, 2, 4)).flatten(2, 3)


def _gradients(dz_KGNI: Tensor, u_KGND: Tensor, w_ih: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of what the gates read of the input, and of W_ih."""
    w = w_ih if u_KGND.shape[1] == 1 else _by_gate(w_ih, u_KGND.shape[1])
    du = product(dz_KGNI.flatten(0, 1), w).unflatten(0, (-1, dz_KGNI.shape[1]))
    return du, _weight_gradient(dz_KGNI, u_KGND)


def _bias_gradient(dz_KNI: Tensor, spec: KernelSpec) -> Tensor:
    """The sum over steps and rows, [K, G, H]; in bfloat16 by a product, which adds in float32."""
    if spec.product == spec.value:
        db_KI = dz_KNI.sum(1)
    else:
        ones_K1N = dz_KNI.new_ones(dz_KNI.shape[0], 1, dz_KNI.shape[1])
        db_KI = torch.bmm(ones_K1N, dz_KNI)[:, 0].to(spec.value)
    return db_KI.unflatten(1, (len(spec.cell.gates), -1))


def _weight_gradient(dz_KGNI: Tensor, read_KGNX: Tensor) -> Tensor:
    """The gradient [K, GH, X] of the weight that made z of what was read."""
    dw = product(dz_KGNI.flatten(0, 1).transpose(1, 2), read_KGNX.flatten(0, 1))
    return dw.unflatten(0, (dz_KGNI.shape[0], -1)).flatten(1, 2)
