"""The looped path, which runs any placement: one `autograd.Function` over a layer's window.

    u_t (all t)                 z = u W_ih^T         one product
    forward,  t = 1 .. T        z_t += r_t W_hh^T    one product a step
                                h_t, state_t, r_{t+1} = step(z_t, state_{t-1})
    backward, t = T .. 1        dz_t, dstate_{t-1} = the step's derivative; dr_t = dz_t W_hh
    dz_t (all t)                du = dz W_ih, dW_ih = dz^T u, dW_hh = dz^T r

`step.kernels` makes the step and its derivative. Where a cell splits z, dz has two parts: the
gradient of W_ih u and that of W_hh r. A layer takes T + 1 products forward and T + 3 backward. It
takes G times as many where INPUT or RECURRENT has a mask for each gate.

The trials of a cohort run together, in batched products. A single trial is a cohort of one.
Products have the dtype of the weight, everything else has the dtype of the input.

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

# The width of a tile in a GPU's products, in numbers.
_TILE = 64


def looped_layer(
    x_KTBD: Tensor,
    state: tuple[Tensor, ...],
    weights: LayerWeights,
    factors: Factors,
    *,
    cell: Cell = LSTM,
) -> LayerOutput:
    """Run one layer of K trials over a window, each as `reference_layer` does.

    Each part of `state` is [K, B, H]. `weights` and `factors` have K as their first axis.
    """
    gates = len(cell.gates)
    w_ih = _aligned(masked(weights.w_ih, factors.get(sites.INPUT_WEIGHT), gates))
    w_hh = _aligned(masked(weights.w_hh, factors.get(sites.WEIGHT), gates))
    biases = [bias.unflatten(1, (gates, -1)).contiguous() for bias in weights.biases(cell)]
    u_KGND = _aligned(_read_input(x_KTBD, factors.get(sites.INPUT)).to(w_ih.dtype))
    inside = tuple(sorted(factors.keys() - sites.BEFORE_THE_LOOP))
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
    # Without gradients no backward pass follows, and no tape is kept.
    made = _Layer.apply(*given) if torch.is_grad_enabled() else _run(*given, tape=None)
    y_KTBH, *last = made  # pyright: ignore[reportGeneralTypeIssues]
    return LayerOutput(y_KTBH, tuple(last))


def padding_of(width: int, dtype: torch.dtype, device: torch.device) -> int:
    """The number of zeros that pad a row of this width for a product.

    A GPU's fast kernels for bfloat16 need rows aligned to 16 bytes, and are fastest at multiples of
    a tile; 650 numbers are 1,300 bytes. A CPU's products gain nothing from padding.
    """
    return -width % _TILE if device.type == "cuda" and dtype == torch.bfloat16 else 0


def _aligned(value: Tensor) -> Tensor:
    return padded(value, padding_of(value.shape[-1], value.dtype, value.device))


def _by_step(spec: KernelSpec, site: Site, factor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A factor [K, T, B, G, H] as the kernels take it: [T, K, B, H], or [T, K, G, B, H] apart.

    It is expanded over trials, batch and units: kernels are compiled for one pattern. A factor that
    all steps share is not copied.
    """
    steps, trials, batch, hidden = shape
    value = factor.transpose(0, 1)
    value = value.transpose(2, 3) if spec.apart and site == sites.RECURRENT else value[:, :, :, 0]
    gates = value.shape[2:3] if value.dim() == 5 else ()
    value = value.expand(-1, trials, *gates, batch, hidden).contiguous()
    return value.expand(steps, *value.shape[1:])


def _rows(spec: KernelSpec, by_step: Sequence[Tensor], steps: int) -> list[tuple[Tensor, ...]]:
    """The factors that each step's kernel takes; that of RECURRENT is the next step's."""
    columns = []
    for site, value in zip(spec.sites, by_step, strict=True):
        column = value.unbind(0)
        # Nothing reads r_{T+1}: repeat the last factor in its place.
        columns.append(column[1:] + column[-1:] if site == sites.RECURRENT else column)
    return list(zip(*columns, strict=True)) if columns else [()] * steps


def _read_input(x_KTBD: Tensor, factor: Tensor | None) -> Tensor:
    """u, the input times its factor: [K, 1, N, D] for all gates, or [K, G, N, D]."""
    if factor is None:
        return x_KTBD.flatten(1, 2).unsqueeze(1)
    if factor.shape[3] == 1:
        return (x_KTBD * factor[:, :, :, 0]).flatten(1, 2).unsqueeze(1)
    return (x_KTBD.unsqueeze(3) * factor).flatten(1, 2).transpose(1, 2)


class _Tape(NamedTuple):
    """The tensors that the backward pass reads, by step: r_t, and those that the kernel keeps."""

    reads: list[Tensor]
    kept: list[tuple[Tensor, ...]]


def product(a_KMX: Tensor, b_KXN: Tensor) -> Tensor:
    """A product for each trial, [K, M, N], with the same bits in every cohort.

    With several threads the library splits a single float32 product otherwise than a batched one.
    With one thread, and in bfloat16, measurements showed equal bits.
    """
    alone = a_KMX.device.type != "cpu" or torch.get_num_threads() == 1
    if a_KMX.dtype == torch.bfloat16 or a_KMX.shape[0] == 1 or alone:
        return torch.bmm(a_KMX, b_KXN)
    return torch.stack([torch.mm(a, b) for a, b in zip(a_KMX, b_KXN, strict=True)])


def _step_product(w_KIH: Tensor) -> Callable[[Tensor], Tensor]:
    """r_t [K, B, H] -> r_t W^T [K, B, I], for every step of a window.

    A CPU's bfloat16 product is fastest with the weight on the left, even with the transposing copy
    of the result. Its float32 product is fastest with a contiguous weight on the right. A GPU takes
    the weight in any layout.
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
    """u W_ih^T for all steps, [K, T, B, G, H], or [K, T, G, B, H] with gates apart."""
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
    """The loop over time: returns y and the last state's parts, and fills the `tape`.

        z_t = (u W_ih^T)_t + r_t W_hh^T
        h_t, state_t, r_{t+1} = step(z_t, state_{t-1})

    `given` are the state's parts, biases and factors.
    """
    step, count, holds = kernels(spec), len(spec.cell.state), spec.holds
    s, *rest = given[:count]
    biases, by_step = given[count : count + spec.biases], given[count + spec.biases :]
    projections = _projection(u_KGND, w_ih, spec, s.shape[1]).unbind(1)
    read_by = _step_product(_by_gate(w_hh, len(spec.cell.gates)) if spec.apart else w_hh)
    # The tape keeps the inputs that change from step to step, not biases and factors.
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

    r_1 is s_0 times its factor. The caller multiplies them, and autograd differentiates that.
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
        # Autograd frees saved tensors after the backward pass; attributes of ctx live as long as
        # any output does.
        flat = [tensor for step in tape.kept for tensor in step]
        constant = given[len(spec.cell.state) :]
        ctx.save_for_backward(u_KGND, w_ih, w_hh, *constant, *tape.reads, *flat)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # `once_differentiable` lets create_graph pass where no incoming gradient requires grad.
        if torch.is_grad_enabled() or batched(*grad_outputs):
            raise RuntimeError(
                "the looped path has no second derivative and no batched gradients; the reference "
                "path, which a module takes below torch.func and while it has a hook, has both: "
                "`module.hook(ablate.Edge.OUTPUT, lambda value: value)`"
            )
        # backward() may be called under autocast: this loop keeps its dtypes. A GPU's gradients
        # are computed in another thread, in which `eagerly` is not set.
        as_before = nullcontext() if ctx.compiled else eagerly()
        with without_autocast(grad_outputs[0].device), as_before:
            return _unrolled(ctx, *grad_outputs)


def _unrolled(ctx: Any, gy: Tensor, gs: Tensor, *grest: Tensor) -> tuple[Tensor | None, ...]:
    """The loop over time, backward: the gradients of `_Layer.forward`'s inputs, None for factors.

    dz_t, dstate_{t-1} = the step's derivative at dh_t, dstate_t, dr_{t+1}
    dr_t = dz_t W_hh
    du = dz W_ih, dW_ih = dz^T u, dW_hh = dz^T r, db = the sum of dz
    """
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
    # Biases and factors follow the inputs that the tape holds; these are their indices.
    fixed = [place - 2 - count for place in step.reads if place >= 2 + count]
    changing = len(step.reads) - len(fixed)
    gradients = list(gy.contiguous().unbind(1))
    read_back = _step_product_back(_by_gate(w_hh, gates) if spec.apart else w_hh)
    # No step reads s_T: its gradient joins that of a held state, or else that of h_T.
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
    # One stack for z, or one for each part where the cell splits it.
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
    """The gradients of u and of W_ih."""
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
    """dW = dz^T u or dz^T r, [K, GH, X]."""
    dw = product(dz_KGNI.flatten(0, 1).transpose(1, 2), read_KGNX.flatten(0, 1))
    return dw.unflatten(0, (dz_KGNI.shape[0], -1)).flatten(1, 2)
