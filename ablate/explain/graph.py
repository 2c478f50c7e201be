"""The listing of `ablate.edges` as a graph, and how often dropout touches what travels through it.

A node is a tensor of the listing at a layer and a step; a route says which tensor reads which, and
which edge's dropout stands between them. A path may run through a gate: i, f and o read u and r and
multiply what the cell carries. What lies inside a step is read off the cell's own function, by
running it on symbols.
"""

import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ablate.cells import LSTM, Cell, Gates, State
from ablate.cells.symbol import Symbol
from ablate.drops import Fill
from ablate.edges import Edge, rate_index
from ablate.errors import AblateError
from ablate.placement import Placement

NOWHERE: Final = Edge(0)


class Node(NamedTuple):
    """A tensor of the listing at a layer (0 is the lowest) and a step."""

    tensor: str
    layer: int
    step: int


@dataclass(frozen=True, slots=True)
class Route:
    """`head` reads `tail` of `back` steps before, or of `below` layers below.

    `edge` touches what takes the route, under the `fills` named; a route `only_held` exists only
    where the edge holds: it is how the old value survives.
    """

    tail: str
    head: str
    edge: Edge = NOWHERE
    back: int = 0
    below: int = 0
    fills: tuple[Fill, ...] = (Fill.ZERO, Fill.HOLD)
    only_held: bool = False


class _Record:
    """A cell's step run on symbols: each edge's tensor, and the routes that lead to it."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.routes: list[Route] = []

    def __call__(self, edge: Edge, new: Symbol, old: Symbol | None = None) -> Symbol:
        head = self._cell.edges[edge].tensor
        self.routes += [Route(tail, head, edge, back) for tail, back in new.reads]
        kept = () if old is None else (read for read in old.reads if read not in new.reads)
        self.routes += [Route(tail, head, edge, back, only_held=True) for tail, back in kept]
        return Symbol(((head, 0),))

    def read(self, edge: Edge, value: Symbol) -> Symbol:
        return value


def _inside(cell: Cell) -> list[Route]:
    """The routes between z and the new state, read off the cell's own step."""
    record = _Record(cell)
    z = Gates(**dict.fromkeys(cell.gates, Symbol.of("z")))
    first, *others = cell.state
    old = {first: Symbol.of("s", 1)} | {name: Symbol.of(name, 1) for name in others}
    cell.step(Gates(x=z, h=z, **vars(z)), State(**old), record)
    return record.routes


@functools.cache
def listing(cell: Cell) -> tuple[Route, ...]:
    """The routes of a net of such cells.

    In the order of the listing, so that within a step every tensor is read after it is written.
    """
    return (
        Route("word", "x", Edge.EMBEDDING),
        Route("x", "u", Edge.INPUT),
        Route("h", "u", Edge.INTERLAYER, below=1),
        Route("s", "r", Edge.RECURRENT, back=1, fills=(Fill.ZERO,)),
        Route("u", "z"),
        Route("r", "z", Edge.WEIGHT),
        *_inside(cell),
        Route("h", "s", Edge.RECURRENT, fills=(Fill.HOLD,)),
        Route("s", "s", Edge.RECURRENT, back=1, only_held=True),
        Route("h", "y", Edge.OUTPUT),
    )


# Tensors that exist at one end of the stack only.
_LOWEST: Final = frozenset({"word", "x"})
_HIGHEST: Final = frozenset({"y"})


class Arc(NamedTuple):
    """One route at one layer and step; `edge` is empty where nothing is dropped on it."""

    tail: Node
    head: Node
    edge: Edge


@dataclass(frozen=True, slots=True)
class Touches:
    """The edges that touch what travels along the path with the fewest and with the most touches,
    in the order of travel."""

    fewest: tuple[Edge, ...]
    most: tuple[Edge, ...]


def arcs(placement: Placement, layers: int, steps: int, cell: Cell = LSTM) -> Iterator[Arc]:
    """All arcs of a net of `layers` layers over `steps` steps, tails before heads."""
    placement = placement.within(layers)
    for step in range(steps):
        for layer in range(layers):
            for route in listing(cell):
                tail = Node(route.tail, layer - route.below, step - route.back)
                head = Node(route.head, layer, step)
                if _exists(tail, layers) and _exists(head, layers) and _open(placement, route):
                    touched = _touched(placement, route, layer)
                    yield Arc(tail, head, route.edge if touched else NOWHERE)


def touches(placement: Placement, layers: int, n: int, cell: Cell = LSTM) -> Touches:
    """How often dropout touches what travels from the word at t - n to the prediction at t + n.

    Fewest and most over all paths of the graph, by dynamic programming from the word on.
    Raises AblateError for a net without layers or a negative distance.
    """
    if layers < 1 or n < 0:
        raise AblateError(
            f"paths are counted over at least 1 layer and a distance n of 0 or more, "
            f"got {layers} layer(s) and n = {n}",
            given=(layers, n),
        )
    placement.check(layers, cell)
    graph = tuple(arcs(placement, layers, 2 * n + 1, cell))
    start, goal = Node("word", 0, 0), Node("y", layers - 1, 2 * n)
    return Touches(
        _walk(graph, start, goal, operator.lt),
        _walk(graph, start, goal, operator.gt),
    )


def _walk(
    graph: tuple[Arc, ...],
    start: Node,
    goal: Node,
    better: Callable[[int, int], bool],
) -> tuple[Edge, ...]:
    """The touches of a path whose number of them none is better than; tails stand before heads."""
    best: dict[Node, tuple[Edge, ...]] = {start: ()}
    for arc in graph:
        if arc.tail in best:
            path = best[arc.tail] + tuple(arc.edge)
            if arc.head not in best or better(len(path), len(best[arc.head])):
                best[arc.head] = path
    return best[goal]


def _exists(node: Node, layers: int) -> bool:
    if node.layer < 0 or node.step < 0:
        return False
    if node.tensor in _LOWEST:
        return node.layer == 0
    return node.tensor not in _HIGHEST or node.layer == layers - 1


def _open(placement: Placement, route: Route) -> bool:
    """Whether the route exists at all under this placement."""
    if not route.only_held:
        return True
    return route.edge in placement and placement[route.edge].fill is Fill.HOLD


def _touched(placement: Placement, route: Route, layer: int) -> bool:
    drop = placement.get(route.edge)
    if drop is None or drop.fill not in route.fills:
        return False
    return drop.rate_of(rate_index(route.edge, layer)) > 0.0
