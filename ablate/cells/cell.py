"""What a recurrent cell is: gates, a state, edges, and a step that says each equation once.

A step is written for values of any kind that add, multiply, and have `sigmoid`, `tanh` and `relu`:
tensors in training, symbols where somebody asks what reads what. Where an edge may act the step
calls `at`, and whoever runs it says what stands there: a factor, a user's hook, or the arc of a
graph.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, Protocol

from ablate.cells.symbol import Symbol
from ablate.drops import Drop, Fill
from ablate.edges import RULES, Edge, Rule
from ablate.errors import AblateError
from ablate.registry import Registry

#: The edges that stand around a step, whatever the cell.
AROUND: Final = Edge.VERTICAL | Edge.EMBEDDING | Edge.WEIGHT | Edge.RECURRENT


class Gates(SimpleNamespace):
    """What the gates read before their nonlinearity, each by its letter: z = W_ih u + W_hh r + b.

    A step may also read the two parts: `z.x.n` is that from the input, `z.h.n` that from the state,
    each with its own bias.
    """

    def __getattr__(self, gate: str) -> Any:
        """The sum of a gate's parts, where these alone are given."""
        parts = vars(self)
        if "x" not in parts or gate.startswith("_"):
            raise AttributeError(gate)
        return getattr(parts["x"], gate) + getattr(parts["h"], gate)


class State(SimpleNamespace):
    """What a step hands to the next one, by the names of the cell's `state`."""


class At(Protocol):
    """What stands at an edge's place of a step."""

    def __call__(self, edge: Edge, new: Any, old: Any = None) -> Any:
        """The value `new` with the edge's drop applied; HOLD puts `old` in its place."""
        ...

    def read(self, edge: Edge, value: Any) -> Any:
        """What a reader of `value` sees where the mean of the edge's drop acts on reads alone."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """An edge inside a step: the tensor that it drops, and which fills exist there.

    `why` is the sentence that refuses the others.
    """

    tensor: str
    fills: tuple[Fill, ...] = (Fill.ZERO, Fill.HOLD)
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A recurrent cell.

    `gates` are letters in the order of the weights' rows. `state` names what is handed on; its
    first part is what the next step's gates read. `edges` are those inside a step, in the order in
    which a drawing of the cell shows them. `step` takes z, the old state and `at`, and returns the
    new state. `lacks` says of each edge that the cell has not why, and what to do. `library` is the
    function of `torch` that runs a layer of such cells.
    """

    name: str
    gates: str
    state: tuple[str, ...]
    edges: Mapping[Edge, Place]
    step: Callable[[Any, Any, At], State]
    lacks: Mapping[Edge, str] = field(default_factory=lambda: MappingProxyType({}))
    library: str | None = None

    @property
    def title(self) -> str:
        """Its name as text shows it: `LSTM`."""
        return self.name.replace("_", " ").upper()

    @property
    def has(self) -> Edge:
        """All edges of a net of such cells."""
        return functools.reduce(Edge.__or__, self.edges, AROUND)

    def rule(self, edge: Edge) -> Rule:
        """What exists at an edge: axes, fills, noises and scales."""
        rule, place = RULES[edge], self.edges.get(edge)
        fills = tuple(fill for fill in rule.fills if place is None or fill in place.fills)
        zero = Fill.ZERO in fills
        return replace(
            rule, fills=fills, noise=rule.noise and zero, scales=rule.scales if zero else ()
        )

    def taking(self, fill: Fill) -> Edge:
        """The edges at which a fill exists."""
        edges = (edge for edge in self.has if fill in self.rule(edge).fills)
        return functools.reduce(Edge.__or__, edges, Edge(0))

    def check(self, edge: Edge, drop: Drop) -> None:
        """Raise AblateError, in one sentence, for a drop that the cell has no place for."""
        if edge not in self.has:
            why = self.lacks.get(edge, "leave it out")
            raise AblateError(f"a net of {self.title} cells has no edge {edge.label}: {why}")
        fills = self.rule(edge).fills
        if drop.fill not in fills:
            allowed = " or ".join(fill.value for fill in fills)
            raise AblateError(
                f"{edge.label} of {self.title} cells takes the fill {allowed}, got "
                f"{drop.fill.value}: {self.edges[edge].why}"
            )

    @property
    def splits(self) -> bool:
        """Whether a step reads z's parts from input and from state apart."""
        return any(name.startswith(("x.", "h.")) for name in _reads(self))

    @property
    def carries(self) -> bool:
        """Whether a step reads the state's first part itself, beside what its product reads."""
        return f"old.{self.state[0]}" in _reads(self)


CELLS: Final[Registry[Cell]] = Registry("cell")


def register(cell: Cell) -> None:
    """Let `cell` be found by its name."""
    CELLS.add(cell.name, cell, cell.step)


@functools.cache
def _reads(cell: Cell) -> frozenset[str]:
    """What a step without drops reads, read off the step itself by running it on symbols."""
    parts = [
        SimpleNamespace(**{gate: Symbol.of(f"{part}.{gate}") for gate in cell.gates})
        for part in "xh"
    ]
    whole = {gate: Symbol.of(gate) for gate in cell.gates}
    z = Gates(x=parts[0], h=parts[1], **whole)
    old = State(**{name: Symbol.of(f"old.{name}") for name in cell.state})
    new = cell.step(z, old, _Silent())
    return frozenset(name for value in vars(new).values() for name, _ in value.reads)


class _Silent:
    """No drop anywhere."""

    def __call__(self, edge: Edge, new: Any, old: Any = None) -> Any:
        return new

    def read(self, edge: Edge, value: Any) -> Any:
        return value
