"""Plain SGD behind a clip of the global gradient norm, for each trial of a cohort, in place.

Source: arXiv:1409.2329, section 4.1. The embedding's gradient has a row for each word of the window
alone, which are few of the vocabulary: a dense one would be read three times for nothing.

Shapes: K trials, T time, B batch, N = T * B, R different words of a window, D embedding.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.compiling import lowered


class Rows(NamedTuple):
    """The gradient of a table [K, V, D] at the rows `at_R` that have one: [K, R, D].

    Off the CPU a row may be named again, where its gradient is 0.
    """

    at_R: Tensor
    values_KRD: Tensor

    @classmethod
    def of(cls, tokens_TB: Tensor, dx_KTBD: Tensor) -> "Rows":
        """Sum the gradients of equal words, in the order of the text."""
        words_N, flat_KND = tokens_TB.flatten(), dx_KTBD.flatten(1, 2)
        if not _counted(words_N):
            return cls(words_N, _at_first_places(words_N, flat_KND))
        at_R, row_N = torch.unique(words_N, return_inverse=True)
        values = flat_KND.new_zeros(flat_KND.shape[0], len(at_R), flat_KND.shape[2])
        return cls(at_R, values.index_add_(1, row_N, flat_KND))


# Of K trials: one tensor [K, ...], or K of them, or those of a table's rows.
Gradient = Sequence[Tensor] | Tensor | Rows


def total_norm(gradients: Sequence[Tensor]) -> float:
    """The norm over all gradients of a trial, taken in float32 at least."""
    return math.sqrt(sum(float(_squares(g.dtype, g.dim())(g)[0]) for g in gradients))


def step(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Gradient],
    *,
    losses: Sequence[float],
    learning_rates: Sequence[float],
    clips: Sequence[float],
    copies: Mapping[str, Sequence[Tensor] | Tensor] = MappingProxyType({}),
) -> list[float]:
    """Take one step of each trial; return the norms before clipping.

    A trial whose loss or norm is not finite stays where it is. Gradients may be in bfloat16 where
    parameters are in float32. `copies` are parameters in another dtype, kept as current as they.
    """
    norms = []
    with torch.no_grad():
        each = zip(losses, learning_rates, clips, strict=True)
        for k, (loss, rate, clip) in enumerate(each):
            own = {
                name: given.values_KRD[k] if isinstance(given, Rows) else given[k]
                for name, given in gradients.items()
            }
            norm = total_norm(list(own.values()))
            norms.append(norm)
            if not (math.isfinite(norm) and math.isfinite(loss)):
                continue
            alpha = -rate * (min(1.0, clip / norm) if norm else 1.0)
            for name, gradient in own.items():
                value, given = parameters[name][k], gradients[name]
                if isinstance(given, Rows):
                    value.index_add_(0, given.at_R, gradient, alpha=alpha)
                    continue
                by, copy = value.new_tensor(alpha), copies.get(name)
                into = () if copy is None else (copy[k],)
                dtypes = (value.dtype, gradient.dtype, *(own.dtype for own in into))
                _add(dtypes, value.dim())(value, gradient, by, *into)
    return norms


def _example(dtype: torch.dtype, dim: int) -> Tensor:
    """A vector, or a matrix whose rows lie apart, as the softmax layer's gradient."""
    return (
        torch.zeros(400, 208, dtype=dtype)[:, :200] if dim == 2 else torch.zeros(800, dtype=dtype)
    )


@functools.cache
def _squares(dtype: torch.dtype, dim: int) -> Callable[[Tensor], tuple[Tensor]]:
    """The sum of squares."""

    def squares(gradient: Tensor) -> tuple[Tensor]:
        wide = gradient.to(torch.promote_types(dtype, torch.float32))
        return ((wide * wide).sum(),)

    return lowered(squares, lambda: (_example(dtype, dim),))


@functools.cache
def _add(dtypes: tuple[torch.dtype, ...], dim: int) -> Callable[..., object]:
    """value += by * gradient, in place, and a copy of it in a third dtype, if there is one."""

    def add(value: Tensor, given: Tensor, by: Tensor, *into: Tensor) -> tuple[()]:
        moved = value + by * given.to(value.dtype)
        value.copy_(moved)
        for copy in into:
            copy.copy_(moved)
        return ()

    def examples() -> tuple[Tensor, ...]:
        value = _example(dtypes[0], dim).contiguous()
        by = torch.zeros((), dtype=dtypes[0])
        return value, _example(dtypes[1], dim), by, *(_example(d, dim) for d in dtypes[2:])

    return lowered(add, examples)


def _counted(words_N: Tensor) -> bool:
    """Whether it is known, without waiting for a device, how many different words there are."""
    return words_N.device.type == "cpu"


def _at_first_places(words_N: Tensor, values_KND: Tensor) -> Tensor:
    """The sums over equal words, [K, N, D], each at its word's first place and 0 at the others."""
    same_NN = words_N.unsqueeze(0) == words_N.unsqueeze(1)
    first_N = ~same_NN.tril(-1).any(1)
    # A product rather than additions in memory: the order of those changes from run to run.
    return (same_NN & first_N.unsqueeze(1)).to(values_KND.dtype) @ values_KND
