"""The pointwise part of a window's steps, as the loop over time sees it, in two implementations.

`written_out` hands the kernels of `kernels.py` their factors step by step; `in_registers` launches
the GPU's kernels, which find a step's factor, or make its mask, by themselves. Both hold nothing
but tensors that autograd can store, so that a backward pass makes its steps anew.

Shapes: K trials, T time, B batch, G gates, H hidden.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ablate.compiling import can_compile
from ablate.engine.factors import Slot
from ablate.engine.kernels import Kind, kernels
from ablate.engine.triton_toss import SlotValues, Toss

TRITON_NOTE = (
    "Triton was not found: what lies between the products runs eagerly on this GPU, slower; "
    "install triton to compile it"
)


class Steps(Protocol):
    """One window's steps."""

    @property
    def first(self) -> Tensor | None:
        """RECURRENT's factor of the first step, as `kernels.read` takes it; None without one."""
        ...

    def forward(
        self, t: int, projection: Tensor, product: Tensor, c: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        """Step `t`, as `kernels._forward`."""
        ...

    def backward(
        self,
        t: int,
        gy: Tensor,
        p: Tensor,
        ds_held: Tensor,
        dc: Tensor,
        saved: Sequence[Tensor],
        c_before: Tensor,
    ) -> tuple[Tensor, ...]:
        """Step `t` back, as `kernels._backward`; `saved` are i, f, a, o, q."""
        ...


class Prepared(NamedTuple):
    """What a window's steps are made of; `make(tensors, bias)` makes them, in either pass."""

    tensors: tuple[Tensor, ...]
    make: Callable[[Sequence[Tensor], Tensor | None], Steps]


@functools.cache
def _has_triton() -> bool:
    """Whether Triton can be imported; warns once where it cannot."""
    try:
        import triton  # noqa: F401
    except ImportError:
        warnings.warn(TRITON_NOTE, RuntimeWarning, stacklevel=2)
        return False
    return True


def takes_triton(like: Tensor) -> bool:
    """Whether a loop over such values takes the GPU's kernels: they keep values in float32."""
    if like.device.type != "cuda" or like.dtype != torch.float32:
        return False
    return can_compile() and _has_triton()


def written_out(kind: Kind, values: Mapping[Slot, Tensor], shape: tuple[int, ...]) -> Prepared:
    """Steps of factors [K, T, B, G, H]; `shape` is that of a window, (T, K, B, H)."""
    tensors = tuple(_by_step(kind, slot, values[slot], shape) for slot in kind.slots)
    return Prepared(tensors, functools.partial(_WrittenOut, kind, shape[0]))


def in_registers(kind: Kind, values: SlotValues, shape: tuple[int, ...]) -> Prepared:
    """The same for the GPU's kernels: a slot has a factor, or a toss and no mask in memory."""
    batch, hidden = shape[2:]
    tossed = tuple(isinstance(values[slot], Toss) for slot in kind.slots)
    tensors = (
        value.tensors if isinstance(value, Toss) else (value,)
        for value in (values[slot] for slot in kind.slots)
    )
    make = functools.partial(_InRegisters, kind, (batch, hidden), tossed)
    return Prepared(tuple(itertools.chain.from_iterable(tensors)), make)


class _WrittenOut:
    """Factors as columns, one for each step; in RECURRENT's stands that of the next step."""

    def __init__(
        self, kind: Kind, steps: int, tensors: Sequence[Tensor], bias: Tensor | None
    ) -> None:
        pair = kernels(kind)
        self._forward, self._backward = pair.forward, pair.backward
        self._bias = () if bias is None else (bias,)
        self.first: Tensor | None = None
        columns = []
        for slot, value in zip(kind.slots, tensors, strict=True):
            column = value.unbind(0)
            if slot is Slot.RECURRENT:
                self.first, column = column[0], column[1:] + column[-1:]
            columns.append(column)
        self._factors = list(zip(*columns, strict=True)) if columns else [()] * steps

    def forward(
        self, t: int, projection: Tensor, product: Tensor, c: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        return self._forward(projection, product, c, s, *self._bias, *self._factors[t])

    def backward(
        self,
        t: int,
        gy: Tensor,
        p: Tensor,
        ds_held: Tensor,
        dc: Tensor,
        saved: Sequence[Tensor],
        c_before: Tensor,
    ) -> tuple[Tensor, ...]:
        return self._backward(gy, p, ds_held, dc, *saved, c_before, *self._factors[t])


class _InRegisters:
    """Launches of the GPU's kernels."""

    def __init__(
        self,
        kind: Kind,
        size: tuple[int, int],
        tossed: tuple[bool, ...],
        tensors: Sequence[Tensor],
        bias: Tensor | None,
    ) -> None:
        # Triton chooses its interpreter when it is first imported, and is not everywhere.
        from ablate.engine import triton_steps

        given = iter(tensors)
        self._slots: dict[Slot, Tensor | Toss] = {
            slot: Toss(next(given), next(given), next(given), apart=kind.apart)
            if toss
            else next(given)
            for slot, toss in zip(kind.slots, tossed, strict=True)
        }
        self._launch, self._kind, self._size, self._bias = triton_steps, kind, size, bias

    @property
    def first(self) -> Tensor | None:
        batch, hidden = self._size
        return self._launch.first_factor(self._kind, self._slots, batch=batch, hidden=hidden)

    def forward(
        self, t: int, projection: Tensor, product: Tensor, c: Tensor, s: Tensor
    ) -> tuple[Tensor, ...]:
        return self._launch.forward(
            self._kind, projection, product, self._bias, c, s, self._slots, t=t
        )

    def backward(
        self,
        t: int,
        gy: Tensor,
        p: Tensor,
        ds_held: Tensor,
        dc: Tensor,
        saved: Sequence[Tensor],
        c_before: Tensor,
    ) -> tuple[Tensor, ...]:
        return self._launch.backward(
            self._kind, gy, p, ds_held, dc, tuple(saved), c_before, self._slots, t=t
        )


def _by_step(kind: Kind, slot: Slot, factor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A factor [K, T, B, G, H] as the kernels take it: [T, K, B, H], or [T, K, 4, B, H] apart.

    Written out over trials, batch and units, so that a kernel knows one pattern only; over time a
    shared factor is not copied.
    """
    steps, trials, batch, hidden = shape
    value = factor.transpose(0, 1)
    value = value.transpose(2, 3) if kind.apart and slot is Slot.RECURRENT else value[:, :, :, 0]
    gates = value.shape[2:3] if value.dim() == 5 else ()
    value = value.expand(-1, trials, *gates, batch, hidden).contiguous()
    return value.expand(steps, *value.shape[1:])
