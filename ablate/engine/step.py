"""One step of a layer, from the preactivations z_t to the next product's operand r_{t+1}.

    h_t, c_t = cell(z_t, s_{t-1}, c_{t-1})    the cell's equations, with a factor at each edge
    s_t      = m h_t + (1 - m) s_{t-1}        HOLD on RECURRENT; else s_t = h_t
    r_{t+1}  = m_{t+1} s_t                    the factor of RECURRENT

BEGIN multiplies the old memory before the cell's step. END_HOLD keeps the state of an ended row.

Shapes: K trials, B batch, G gates of the cell, H hidden; gates are [K, B, G, H], or [K, G, B, H]
where they are apart.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.cells import Cell, Gates, State
from ablate.compiling import lowered
from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.derived import Derived, derive, in_clean_thread
from ablate.engine.sites import Site, site_of

Hooked = Callable[[Edge, Tensor], Tensor]

# At these sites the old state passes into the new one.
_HOLDING = frozenset({sites.STATE_HOLD, site_of(Edge.HIDDEN, Fill.HOLD), sites.END_HOLD})


class Multiply:
    """Multiply the value at an edge by this step's factor, then call the hook `hooked` on it."""

    def __init__(self, factors: Mapping[Site, Tensor], hooked: Hooked | None = None) -> None:
        self._factors, self._hooked = factors, hooked

    def __call__(self, edge: Edge, new: Tensor, old: Tensor | None = None) -> Tensor:
        new = self.times(site_of(edge), new)
        if old is not None:
            new = self.held(site_of(edge, Fill.HOLD), new, old)
        return new if self._hooked is None else self._hooked(edge, new)

    def read(self, edge: Edge, value: Tensor) -> Tensor:
        """Multiply by the mean of CELL, the only edge whose mean acts on its readers."""
        return self.times(sites.READ, value)

    def times(self, site: Site, value: Tensor) -> Tensor:
        factor = self._factors.get(site)
        return value if factor is None else factor * value

    def held(self, site: Site, new: Tensor, old: Tensor) -> Tensor:
        """m new + (1 - m) old: exact for m = 0 and m = 1, because both values are finite."""
        weight = self._factors.get(site)
        return new if weight is None else weight * new + (1.0 - weight) * old


class Stepped(NamedTuple):
    """h_t, s_t and the state's other parts; s_t differs from h_t where RECURRENT holds."""

    h: Tensor
    s: Tensor
    rest: tuple[Tensor, ...]


def step(cell: Cell, z: Gates, s: Tensor, rest: Sequence[Tensor], at: Multiply) -> Stepped:
    """One step from the gates' preactivations and the state's parts, s_{t-1} first."""
    first, *others = cell.state
    begun = [at.times(sites.BEGIN, part) for part in rest]
    new = vars(cell.step(z, State(**{first: s, **dict(zip(others, begun, strict=True))}), at))
    h, *made = (new[name] for name in cell.state)
    handed = at.held(sites.STATE_HOLD, h, s)
    kept = [
        at.held(sites.END_HOLD, *pair) for pair in zip((handed, *made), (s, *rest), strict=True)
    ]
    return Stepped(h, kept[0], tuple(kept[1:]))


class KernelSpec(NamedTuple):
    """The properties that a step's kernels are compiled for; `product` is the dtype of products.

    A product reads rows that are padded by `padding` zeros.
    """

    cell: Cell
    sites: tuple[Site, ...]
    apart: bool = False
    bias: bool = True
    value: torch.dtype = torch.float32
    product: torch.dtype = torch.float32
    padding: int = 0

    @property
    def holds(self) -> bool:
        """Whether s_{t-1} passes into s_t, and its gradient past the cell's step."""
        return self.cell.carries or not _HOLDING.isdisjoint(self.sites)

    @property
    def biases(self) -> int:
        """The number of biases: one, the sum of both, or two where the cell splits z."""
        return (1 + self.cell.splits) * self.bias

    @property
    def gate_dim(self) -> int:
        """The dimension of the gates."""
        return 1 if self.apart else 2

    def read(self, factor: Tensor | None, s: Tensor) -> Tensor:
        """r, the product's operand: [K, B, H], or [K, G, B, H] where gates are apart."""
        if factor is not None:
            s = factor * (s.unsqueeze(1) if self.apart else s)
        return padded(s.to(self.product), self.padding)


def padded(value: Tensor, padding: int) -> Tensor:
    """Append `padding` zeros to each row."""
    return functional.pad(value, (0, padding)) if padding else value


@functools.cache
def kernels(spec: KernelSpec) -> Derived:
    """The forward and backward kernels of a step, made once in a process.

    The forward function takes projection, product, state, biases and factors. The factor of
    RECURRENT is the next step's. The outputs are h_t, the state's other parts, s_t (only where the
    spec holds) and r_{t+1}. The gradients are those of z (one for each part where the cell splits
    it) in the dtype of products, of the state's other parts, and of s where the spec holds.
    """
    forward = functools.partial(_forward, spec)
    others = range(3, 2 + len(spec.cell.state))
    # z is a sum of projection, product and bias: the gradient of one is that of each.
    wrt = (0, *((1,) if spec.cell.splits else ()), *others, *((2,) if spec.holds else ()))

    def derived() -> Derived:
        # Sizes are small, for without a compiler this traced graph runs as it is; they all differ.
        return derive(forward, *_examples(spec, torch.device("cpu"), (2, 6, 5, 7)), wrt=wrt)

    # The first caller may be an evaluation, in inference mode, where autograd records nothing.
    pair = in_clean_thread(derived)

    def examples(device: torch.device) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        inputs, outputs = _examples(spec, device, (5, 2, 20, 200))
        kept = pair.forward(*inputs)[pair.distinct :]
        return tuple(inputs), (*outputs, *(inputs[place] for place in pair.reads), *kept)

    return pair._replace(
        forward=lowered(pair.forward, lambda device: examples(device)[0], "the step of the loop"),
        backward=lowered(pair.backward, lambda device: examples(device)[1], "the step's gradient"),
    )


def _forward(
    spec: KernelSpec, projection: Tensor, product: Tensor, s: Tensor, *rest: Tensor
) -> tuple[Tensor, ...]:
    count = len(spec.cell.state) - 1
    others, biases = rest[:count], rest[count : count + spec.biases]
    factors = dict(zip(spec.sites, rest[count + spec.biases :], strict=True))
    parts = projection.to(spec.value), product.to(spec.value)
    if spec.cell.splits:
        own = zip(parts, biases, strict=True) if biases else ((part, None) for part in parts)
        z = Gates(**dict(zip("xh", (_gates(spec, *given) for given in own), strict=True)))
    else:
        z = _gates(spec, parts[0] + parts[1], *biases)
    new = step(spec.cell, z, s, others, Multiply(factors))
    # The alias makes s_t a separate node where it equals h_t. Autograd then sums the gradients of
    # s_t before it adds that of h_t: one order of additions for every cohort.
    s = torch.ops.aten.alias(new.s)
    read = spec.read(factors.get(sites.RECURRENT), s)
    return (new.h, *new.rest, *((s,) if spec.holds else ()), read)


def _gates(spec: KernelSpec, z: Tensor, bias: Tensor | None = None) -> Gates:
    if bias is not None:
        z = z + bias.unsqueeze(3 - spec.gate_dim)
    return Gates(**dict(zip(spec.cell.gates, z.unbind(spec.gate_dim), strict=True)))


def _examples(
    spec: KernelSpec, device: torch.device, sizes: tuple[int, int, int, int]
) -> tuple[list[Tensor], list[Tensor]]:
    """Example inputs and output gradients with the loop's strides: a step is a window's slice."""
    trials, steps, batch, hidden = sizes
    count = len(spec.cell.gates)

    def value(*shape: int, dtype: torch.dtype = spec.value) -> Tensor:
        return torch.zeros(trials, *shape, dtype=dtype, device=device)

    def of_window(*shape: int, dtype: torch.dtype = spec.value) -> Tensor:
        return value(steps, *shape, dtype=dtype)[:, 0]

    gates = (count, batch, hidden) if spec.apart else (batch, count, hidden)
    read = (count, batch, hidden) if spec.apart else (batch, hidden)
    state = [value(batch, hidden) for _ in spec.cell.state]
    biases = [value(count, hidden) for _ in range(spec.biases)]
    factors = [
        value(*(read if site == sites.RECURRENT else (batch, hidden))) for site in spec.sites
    ]
    z = [of_window(*gates, dtype=spec.product), value(*gates, dtype=spec.product)]
    held = [value(batch, hidden)] if spec.holds else []
    outputs = [of_window(batch, hidden), *(value(batch, hidden) for _ in state[1:]), *held]
    outputs.append(value(*read[:-1], hidden + spec.padding, dtype=spec.product))
    return [*z, *state, *biases, *factors], outputs
