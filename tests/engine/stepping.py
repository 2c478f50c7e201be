"""A step of the engine with drawn inputs, and what its two graphs make of them.

Shapes: K trials, B batch, H hidden.
"""

import functools
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from ablate.cells import Cell
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.derived import Derived
from ablate.engine.sites import Site, site_of
from ablate.engine.step import KernelSpec


def inside(cell: Cell) -> tuple[Site, ...]:
    """The sites of a cell's step; the others act before the loop."""
    found = {sites.RECURRENT, sites.STATE_HOLD, sites.END_HOLD}
    for edge in cell.edges:
        found |= {site_of(edge, fill) for fill in cell.rule(edge).fills}
    if Edge.CELL in cell.has:
        found |= {sites.BEGIN, sites.READ}
    return tuple(sorted(found))


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
    kind: KernelSpec, trials: int = 3, batch: int = 5, hidden: int = 19
) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs and gradients of a step of one kind; HOLD's factors are 0 and 1.

    A projection and the gradient of an output are slices of a window's, as in the loop.
    """
    draw, count = functools.partial(normal, trials), len(kind.cell.gates)
    gates = (count, batch, hidden) if kind.apart else (batch, count, hidden)
    read = (count, batch, hidden) if kind.apart else (batch, hidden)
    seeds = itertools.count()

    def value(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return draw(*shape, dtype=dtype, seed=next(seeds))

    def of_window(*shape: int, dtype: torch.dtype = kind.value) -> Tensor:
        return value(6, *shape, dtype=dtype)[:, 4]

    inputs = [of_window(*gates, dtype=kind.product), value(*gates, dtype=kind.product)]
    inputs += [value(batch, hidden) for _ in kind.cell.state]
    inputs += [value(count, hidden) for _ in range(kind.biases)]
    for site in kind.sites:
        factor = value(*(read if site == sites.RECURRENT else (batch, hidden)))
        inputs.append((factor > 0).to(kind.value) if site.name.endswith("HOLD") else factor)
    parts = [value(batch, hidden) for _ in kind.cell.state[1:]]
    held = [value(batch, hidden)] if kind.holds else []
    return inputs, [of_window(batch, hidden), *parts, *held, value(*read, dtype=kind.product)]
