"""Plain SGD with a clipped global gradient norm, for each trial of a cohort, in place.

    parameter -= learning rate * min(1, clip / norm) * gradient

Source: arXiv:1409.2329, section 4.1. The embedding's gradient has rows only for the words of the
window, which are few of the vocabulary. A dense gradient would be mostly zeros.

Shapes: K trials, T time, B batch, N = T * B, R different words of a window, D embedding.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.compiling import lowered


class Rows(NamedTuple):
    """The gradient of a table [K, V, D] at the rows `at_R` that have one: [K, R, D].

    On a GPU a row may occur again in `at_R`; its gradient is then 0.
    """

    at_R: Tensor
    values_KRD: Tensor

    @classmethod
    def of(cls, tokens_TB: Tensor, dx_KTBD: Tensor) -> "Rows":
        """Sum the gradients of equal words, in the order of the text."""
        words_N, flat_KND = tokens_TB.flatten(), dx_KTBD.flatten(1, 2)
        if not _on_cpu(words_N):
            return cls(words_N, _at_first_places(words_N, flat_KND))
        at_R, row_N = torch.unique(words_N, return_inverse=True)
        values = flat_KND.new_zeros(flat_KND.shape[0], len(at_R), flat_KND.shape[2])
        return cls(at_R, values.index_add_(1, row_N, flat_KND))


# The gradient of K trials: one tensor [K, ...], K tensors, or the rows of a table.
Gradient = Sequence[Tensor] | Tensor | Rows


def norms(gradients: Mapping[str, Gradient]) -> Tensor:
    """Each trial's norm over all gradients, [K]: squares in float32 at least, sums in float64."""
    total_K = 0.0
    for given in gradients.values():
        each = given.values_KRD if isinstance(given, Rows) else given
        total_K = total_K + _squares_K(each).double()
    return torch.as_tensor(total_K).sqrt()


def step(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Gradient],
    by_K: Tensor,
    live_K: Tensor,
    copies: Mapping[str, Sequence[Tensor] | Tensor] = MappingProxyType({}),
) -> None:
    """parameter += by * gradient in each live trial, in place; the others stay as they are.

    Gradients may be in bfloat16 where parameters are in float32. `copies`, the parameters in
    another dtype, get the same values.
    """
    for name, gradient in gradients.items():
        value = parameters[name]
        if isinstance(gradient, Rows):
            _step_rows(value, gradient, by_K, live_K)
            continue
        copy = copies.get(name)
        for own in _parts(value, gradient, by_K.to(value.dtype), live_K, copy):
            dtypes = tuple(part.dtype for part in own if part.dtype != torch.bool)
            _move(dtypes, own[0].dim(), at_once=own[2].dim() > 0)(*own)


def _parts(
    value: Tensor,
    gradient: Sequence[Tensor] | Tensor,
    by_K: Tensor,
    live_K: Tensor,
    copy: Sequence[Tensor] | Tensor | None,
) -> Iterator[tuple[Tensor, ...]]:
    """The arguments of each kernel call: for each trial, or on a GPU for all trials at once."""
    if isinstance(gradient, Tensor) and not _on_cpu(value):
        each = (-1, *(1 for _ in value.shape[1:]))
        into = () if copy is None else (copy,)
        yield value, gradient, by_K.view(each), live_K.view(each), *into  # pyright: ignore[reportReturnType]
        return
    for k, own in enumerate(gradient):
        into = () if copy is None else (copy[k],)
        yield value[k], own, by_K[k], live_K[k], *into


def _step_rows(value_KVD: Tensor, rows: Rows, by_K: Tensor, live_K: Tensor) -> None:
    if _on_cpu(value_KVD):
        for k, (by, live) in enumerate(zip(by_K.tolist(), live_K.tolist(), strict=True)):
            if live:
                value_KVD[k].index_add_(0, rows.at_R, rows.values_KRD[k], alpha=by)
        return
    by_K11, live_K11 = by_K.to(value_KVD.dtype).view(-1, 1, 1), live_K.view(-1, 1, 1)
    # Adding -0 changes no value, not even the sign of a 0.
    moves = torch.where(live_K11, by_K11 * rows.values_KRD, -0.0)
    value_KVD.index_add_(1, rows.at_R, moves)


def _on_cpu(value: Tensor) -> bool:
    """Whether the host reads numbers without waiting, and updates one trial after another.

    A sum for one trial has the same order of additions, and the same bits, in every cohort.
    """
    return value.device.type == "cpu"


def _squares_K(gradient: Sequence[Tensor] | Tensor) -> Tensor:
    """Each trial's sum of squares, in float32 at least."""
    if isinstance(gradient, Tensor) and not _on_cpu(gradient):
        return _squares(gradient.dtype, gradient.dim(), at_once=True)(gradient)[0]
    each = (_squares(own.dtype, own.dim(), at_once=False)(own)[0] for own in gradient)
    return torch.stack(list(each))


def _example(dtype: torch.dtype, dim: int, device: torch.device, row: int = 208) -> Tensor:
    """A vector, a matrix whose rows lie apart, as the softmax layer's gradient, or K matrices.

    The stride of a row differs from its width: the compiler must not take rows for contiguous.
    """
    sizes = {1: (800,), 2: (400, row), 3: (3, 400, row)}[dim]
    made = torch.zeros(sizes, dtype=dtype, device=device)
    return made if dim == 1 else made[..., :200]


@functools.cache
def _squares(dtype: torch.dtype, dim: int, *, at_once: bool) -> Callable[[Tensor], tuple[Tensor]]:
    """The sum of squares, or those of all trials `at_once`, [K]."""

    def squares(gradient: Tensor) -> tuple[Tensor]:
        wide = gradient.to(torch.promote_types(dtype, torch.float32))
        return ((wide * wide).sum(list(range(int(at_once), dim))),)

    return lowered(squares, lambda device: (_example(dtype, dim, device),), "the gradient's norm")


@functools.cache
def _move(dtypes: tuple[torch.dtype, ...], dim: int, *, at_once: bool) -> Callable[..., object]:
    """value += by * gradient where live, in place, and the same for a copy in another dtype.

    `dtypes` are those of value, gradient, by and the copy. Where all trials are moved `at_once`,
    `by` and `live` are [K, 1, ...].
    """

    def move(value: Tensor, given: Tensor, by: Tensor, live: Tensor, *into: Tensor) -> tuple[()]:
        moved = torch.where(live, value + by * given.to(value.dtype), value)
        value.copy_(moved)
        for copy in into:
            copy.copy_(moved)
        return ()

    def examples(device: torch.device) -> tuple[Tensor, ...]:
        value = _example(dtypes[0], dim, device).contiguous()
        by = torch.zeros((), dtype=dtypes[2], device=device)
        if at_once:
            by = by.expand(value.shape[:1]).clone().view(-1, *(1 for _ in value.shape[1:]))
        given = _example(dtypes[1], dim, device)
        into = (_example(own, dim, device, row=232) for own in dtypes[3:])
        return value, given, by, torch.zeros_like(by, dtype=torch.bool), *into

    return lowered(move, examples, "the update of the weights")


def _at_first_places(words_N: Tensor, values_KND: Tensor) -> Tensor:
    """The sums over equal words, [K, N, D], at each word's first position; 0 at the others."""
    same_NN = words_N.unsqueeze(0) == words_N.unsqueeze(1)
    first_N = ~same_NN.tril(-1).any(1)
    # A product, not atomic additions, whose order changes from run to run.
    return (same_NN & first_N.unsqueeze(1)).to(values_KND.dtype) @ values_KND
