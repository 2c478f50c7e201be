"""One step of a cohort on a GPU: launches of `triton_kernels`, the same shapes as `kernels`.

Nothing here waits for the device or reads from it, so that a whole update can be captured in a CUDA
graph. On the CPU it runs where Triton's interpreter was switched on before Triton was imported
(TRITON_INTERPRET=1), for tests.

Shapes: K trials, T time, B batch, G gates, H hidden, U units.
"""

# Triton's types know a kernel's parameters as they are inside it, and none of a launch's options.
# pyright: reportArgumentType=false, reportCallIssue=false

from typing import Any, Final

import torch
from torch import Tensor

from ablate.engine.factors import Slot
from ablate.engine.kernels import Kind
from ablate.engine.triton_kernels import Slots, backward_kernel, forward_kernel
from ablate.engine.triton_philox import window_kernel
from ablate.engine.triton_toss import SlotValues, Toss

# Units of one program, which is one warp: four neighbouring units are one call of Philox, so that
# each of the 32 threads takes one call. Triton's own default for fusing is about to change.
_BLOCK: Final = 128
OPTIONS: Final[dict[str, Any]] = {"num_warps": 1, "enable_fp_fusion": True}


def forward(
    kind: Kind,
    projection: Tensor,
    product: Tensor,
    bias: Tensor | None,
    c: Tensor,
    s: Tensor,
    slots: SlotValues,
    *,
    t: int,
) -> tuple[Tensor, ...]:
    """Return i, f, a, o, q, c_t, h_t, s_t, r_{t+1} of step `t`; see `kernels._forward`.

    `projection` and `product` are [K, B, 4, H], [K, 4, B, H] where gates are apart; `bias` is
    [K, 4, H]; `c` and `s` are [K, B, H]. s_t is left out where it equals h_t, r_{t+1} where it
    equals s_t. Raises ValueError for a `kind` of another dtype or other slots than were given.
    """
    _check(kind, slots)
    trials, batch, hidden = c.shape
    saved = tuple(c.new_empty((5, *c.shape)).unbind(0))
    c_out, h_out = torch.empty_like(c), torch.empty_like(c)
    s_out = torch.empty_like(c) if kind.has(Slot.STATE_HOLD) else None
    shape = (trials, 4, batch, hidden) if kind.apart else c.shape
    r_out = c.new_empty(shape, dtype=kind.product) if kind.reads else None
    with torch.cuda.device_of(c):
        forward_kernel[_grid(trials, batch, hidden)](
            projection,
            _by_gate(kind, projection),
            product,
            _by_gate(kind, product),
            None if bias is None else bias.contiguous(),
            c.contiguous(),
            s.contiguous(),
            saved,
            c_out,
            h_out,
            s_out,
            r_out,
            _arguments(slots),
            t,
            _next(slots, t),
            hidden,
            APART=kind.apart,
            BLOCK=_block(hidden),
            **OPTIONS,
        )
    made = (*saved, c_out, h_out, s_out, r_out)
    return tuple(tensor for tensor in made if tensor is not None)


def backward(
    kind: Kind,
    gy: Tensor,
    p: Tensor,
    ds_held: Tensor,
    dc: Tensor,
    saved: tuple[Tensor, ...],
    c_before: Tensor,
    slots: SlotValues,
    *,
    t: int,
) -> tuple[Tensor, ...]:
    """Return dz_t, dc_{t-1} and the part of ds_{t-1} that HOLD hands back; see `kernels._backward`.

    `saved` are i, f, a, o, q of step `t`; `p` is [K, B, H], [K, 4, B, H] where gates are apart, and
    0 at the last step. The last result is left out where nothing holds the state.
    """
    _check(kind, slots)
    trials, batch, hidden = dc.shape
    shape = (trials, 4, batch, hidden) if kind.apart else (trials, batch, 4, hidden)
    dz = dc.new_empty(shape, dtype=kind.product)
    dc_out = torch.empty_like(dc)
    ds_out = torch.empty_like(dc) if kind.holds else None
    with torch.cuda.device_of(dc):
        backward_kernel[_grid(trials, batch, hidden)](
            gy,
            (gy.stride(0), gy.stride(1)),
            p.contiguous(),
            ds_held.contiguous() if kind.holds else None,
            dc.contiguous(),
            tuple(saved),
            c_before.contiguous(),
            dz,
            _by_gate(kind, dz),
            dc_out,
            ds_out,
            _arguments(slots),
            t,
            _next(slots, t),
            hidden,
            APART=kind.apart,
            BLOCK=_block(hidden),
            **OPTIONS,
        )
    return (dz, dc_out) if ds_out is None else (dz, dc_out, ds_out)


def window_masks(
    toss: Toss,
    *,
    time: int,
    batch: int,
    units: int,
    gates: int = 1,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """The multipliers of a toss over a window, [K, T, B, G, U] in float32, no axis shortened.

    For what acts outside the loop, and the first read of RECURRENT. `tokens_TB` gives the words of
    the text to EMBEDDING. A mask of a weight, [K, G, U, S], is one step of S rows:
    `window_masks(toss, time=1, batch=sources, units=units, gates=4)[:, 0].permute(0, 2, 3, 1)`.
    """
    out = toss.scale_K.new_empty((toss.trials, time, batch, gates, units))
    block = _block(units)
    grid = (-(-units // block), batch * gates, toss.trials * time)
    tokens = None if tokens_TB is None else tokens_TB.contiguous()
    with torch.cuda.device_of(out):
        window_kernel[grid](
            out, _argument(toss), tokens, time, units, GATES=gates, BLOCK=block, **OPTIONS
        )
    return out


def first_factor(kind: Kind, slots: SlotValues, *, batch: int, hidden: int) -> Tensor | None:
    """RECURRENT's factor of the first step, [K, B, H] or [K, 4, B, H] apart; None without one."""
    value = slots.get(Slot.RECURRENT)
    if value is None:
        return None
    if isinstance(value, Toss):
        gates = 4 if kind.apart else 1
        value = window_masks(value, time=1, batch=batch, units=hidden, gates=gates)
    value = value[:, 0].transpose(1, 2)
    value = value if kind.apart else value[:, 0]
    return value.expand(*value.shape[:-2], batch, hidden)


def _check(kind: Kind, slots: SlotValues) -> None:
    if kind.value != torch.float32:
        raise ValueError(f"Triton kernels keep values in float32, got {kind.value}")
    if set(kind.slots) != set(slots):
        kinds, given = ([slot.name for slot in Slot if slot in x] for x in (kind.slots, slots))
        raise ValueError(f"the kernels are of slots {kinds}, and values were given for {given}")


def _grid(trials: int, batch: int, hidden: int) -> tuple[int, int, int]:
    return -(-hidden // _block(hidden)), batch, trials


def _block(units: int) -> int:
    return min(_BLOCK, max(16, 1 << (units - 1).bit_length()))


def _by_gate(kind: Kind, gates: Tensor) -> tuple[int, int, int]:
    """Strides over K, G and B."""
    return gates.stride(0), gates.stride(kind.gates), gates.stride(3 - kind.gates)


def _next(slots: SlotValues, t: int) -> int:
    """The step whose RECURRENT is applied; what the last step hands on is not read."""
    value = slots.get(Slot.RECURRENT)
    return min(t + 1, value.shape[1] - 1) if isinstance(value, Tensor) else t + 1


def _arguments(slots: SlotValues) -> Slots:
    return Slots(**{slot.name.lower(): _argument(value) for slot, value in slots.items()})


def _argument(value: Tensor | Toss) -> tuple[Any, ...]:
    if isinstance(value, Toss):
        return value.tensors
    strides = zip(value.shape, value.stride(), strict=True)
    return value, *(0 if length == 1 else stride for length, stride in strides)
