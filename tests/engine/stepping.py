"""A step of the engine with drawn inputs, and what its two graphs make of them.

Shapes: K trials, B batch, H hidden.
"""

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from ablate.engine.derived import Derived
from ablate.engine.slots import Slot
from ablate.engine.step import Kind

#: The slots that are a step's; the others act before the loop.
INSIDE = tuple(slot for slot in Slot if slot not in (Slot.INPUT, Slot.INPUT_WEIGHT, Slot.WEIGHT))


def normal(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    """Drawn numbers, the same ones in every dtype."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def by_halves(
    pair: Derived, inputs: Sequence[Tensor], gradients: Sequence[Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """What a caller makes of the two graphs: the function's outputs, and gradients."""
    made = pair.forward(*inputs)
    kept = made[pair.distinct :]
    back = pair.backward(*gradients, *(inputs[place] for place in pair.reads), *kept)
    return [made[place] for place in pair.places], list(back)


def step_case(
    kind: Kind, trials: int = 3, batch: int = 5, hidden: int = 19
) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and gradients of a step of one kind; HOLD's factors are 0 and 1.

    A projection and the gradient of an output are slices of a window's, as in the loop.
    """
    draw = functools.partial(normal, trials)
    gates = (4, batch, hidden) if kind.apart else (batch, 4, hidden)
    read = (4, batch, hidden) if kind.apart else (batch, hidden)
    seeds = itertools.count()

    def value(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return draw(*shape, dtype=dtype, seed=next(seeds))

    def of_window(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return value(6, *shape, dtype=dtype)[:, 4]

    inputs = [of_window(*gates, dtype=kind.product), value(*gates, dtype=kind.product)]
    inputs += [value(batch, hidden), value(batch, hidden)]
    inputs += [value(4, hidden)] if kind.bias else []
    for slot in kind.slots:
        factor = value(*(read if slot is Slot.RECURRENT else (batch, hidden)))
        inputs.append((factor > 0).to(kind.value) if slot.name.endswith("HOLD") else factor)
    held = [value(batch, hidden)] if kind.holds else []
    gradients = [value(batch, hidden), of_window(batch, hidden), *held]
    return inputs, [*gradients, value(*read, dtype=kind.product)]
