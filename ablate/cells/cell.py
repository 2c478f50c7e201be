"""What a recurrent cell is: edges, and a step that says each equation once.

A step is written for values of any kind that add, multiply, and have `sigmoid` and `tanh`: tensors
in training, symbols where `ablate explain` draws. Where an edge may act the step calls `at`, and
whoever runs it says what stands there: a factor, a user's hook, or the arc of a graph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ablate.edges import Edge


class Gates(NamedTuple):
    """What the gates read before their nonlinearity, in PyTorch's order."""

    i: Any
    f: Any
    g: Any
    o: Any


class State(NamedTuple):
    """What a step hands to the next one."""

    h: Any
    c: Any


class At(Protocol):
    """What stands at an edge's place of a step."""

    def __call__(self, edge: Edge, new: Any, old: Any = None) -> Any:
        """The value `new` with the edge's drop applied; HOLD puts `old` in its place."""
        ...

    def read(self, edge: Edge, value: Any) -> Any:
        """What a reader of `value` sees where the mean of the edge's drop acts on reads alone."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """A recurrent cell.

    `edges` are those inside a step, in the order in which a drawing of the cell shows them, with
    the name of the tensor that each drops. `step` takes z, the old state and `at`, and returns the
    new state.
    """

    edges: Mapping[Edge, str]
    step: Callable[[Gates, State, At], State]
