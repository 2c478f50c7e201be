"""The counts of `ablate explain`: how often dropout touches what travels through the net."""

import itertools

import pytest

from ablate.cells import CELLS, LSTM
from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.explain import touches
from ablate.explain.graph import Node, arcs, listing
from ablate.placement import Placement
from ablate.strategies import get

NETS = [
    pytest.param(layers, n, id=f"L{layers}-n{n}")
    for layers, n in itertools.product((1, 2, 4), (0, 1, 2, 8))
]


def _counts(placement, layers, n):
    counted = touches(placement, layers, n)
    return len(counted.fewest), len(counted.most)


@pytest.mark.parametrize(("layers", "n"), NETS)
def test_zaremba_touches_exactly_l_plus_one_times(layers, n):
    """The paper's claim: L + 1 times, however far it travels."""
    assert _counts(get("zaremba2014").place(), layers, n) == (layers + 1, layers + 1)


@pytest.mark.parametrize(("layers", "n"), NETS)
def test_naive_touches_once_more_for_each_step(layers, n):
    """Through the cell L + 1 times; through the state once more a step."""
    assert _counts(get("naive").place(), layers, n) == (layers + 1, layers + 1 + 2 * n)


@pytest.mark.parametrize(("layers", "n"), NETS)
def test_cell_alone_is_avoided_through_the_output_gate(layers, n):
    """o multiplies what leaves the cell: r -> o -> h never enters it."""
    assert _counts(get("cell").place(), layers, n) == (0, 2 * n + layers)


@pytest.mark.parametrize(("layers", "n"), NETS)
@pytest.mark.parametrize(
    ("edge", "fill", "fewest", "most"),
    [
        pytest.param(Edge.EMBEDDING, Fill.ZERO, "1", "1", id="EMBEDDING"),
        pytest.param(Edge.INPUT, Fill.ZERO, "1", "1", id="INPUT"),
        pytest.param(Edge.INTERLAYER, Fill.ZERO, "L - 1", "L - 1", id="INTERLAYER"),
        pytest.param(Edge.OUTPUT, Fill.ZERO, "1", "1", id="OUTPUT"),
        pytest.param(Edge.WEIGHT, Fill.ZERO, "0", "2 * n", id="WEIGHT"),
        pytest.param(Edge.RECURRENT, Fill.ZERO, "0", "2 * n", id="RECURRENT"),
        pytest.param(Edge.HIDDEN, Fill.ZERO, "L", "L + 2 * n", id="HIDDEN"),
        pytest.param(Edge.UPDATE, Fill.ZERO, "0", "L + 2 * n", id="UPDATE"),
        pytest.param(Edge.CARRY, Fill.ZERO, "0", "2 * n", id="CARRY"),
        # A held state is mixed where it is written, so that the last write is never read.
        pytest.param(Edge.RECURRENT, Fill.HOLD, "0", "2 * n", id="RECURRENT-HOLD"),
        pytest.param(Edge.HIDDEN, Fill.HOLD, "L", "L + 2 * n", id="HIDDEN-HOLD"),
        pytest.param(Edge.CELL, Fill.HOLD, "0", "L + 2 * n", id="CELL-HOLD"),
        pytest.param(Edge.CARRY, Fill.HOLD, "0", "2 * n", id="CARRY-HOLD"),
    ],
)
def test_each_edge_alone(edge, fill, fewest, most, layers, n):
    """What one edge can do to information, in closed form; HOLD counts on both of its routes."""
    placement = Placement({edge: Drop(0.3, fill=fill)})
    expected = tuple(eval(formula, {"L": layers, "n": n}) for formula in (fewest, most))
    assert _counts(placement, layers, n) == expected


def test_counts_equal_an_enumeration_of_all_paths():
    """Dynamic programming finds what walking every single path finds."""
    placement = get("zoneout").place(upward=False) | get("update").place() | get("weight").place()
    layers, n = 2, 1
    onward = {}
    for arc in arcs(placement, layers, 2 * n + 1):
        onward.setdefault(arc.tail, []).append(arc)
    goal = Node("y", layers - 1, 2 * n)

    def walk(node):
        if node == goal:
            yield 0
        for arc in onward.get(node, ()):
            yield from (len(arc.edge) + rest for rest in walk(arc.head))

    every = list(walk(Node("word", 0, 0)))
    assert len(every) > 400
    assert _counts(placement, layers, n) == (min(every), max(every))


def test_the_path_names_its_touches_in_the_order_of_travel():
    """The edges themselves are returned, not only their number."""
    counted = touches(get("naive").place(), 2, 1)
    assert counted.fewest == (Edge.INPUT, Edge.INTERLAYER, Edge.OUTPUT)
    assert sorted(edge.label for edge in counted.most) == [
        "INPUT",
        "INTERLAYER",
        "OUTPUT",
        "RECURRENT",
        "RECURRENT",
    ]


def test_a_layer_without_a_rate_is_not_touched():
    """Rates by layer: a zero among them drops nothing there."""
    placement = Placement({Edge.HIDDEN: Drop((0.5, 0.0))})
    assert _counts(placement, 2, 0) == (1, 1)


@pytest.mark.parametrize("cell", [pytest.param(cell, id=name) for name, cell in CELLS.items()])
def test_the_listing_knows_every_edge(cell):
    """No edge of a cell is missing from the graph, and none is there that the cell has not."""
    union = Edge(0)
    for route in listing(cell):
        union |= route.edge
    assert union == cell.has
    assert (union == LSTM.has) == (cell is LSTM)


def test_tails_stand_before_heads():
    """The arcs are in topological order, which the counting relies on."""
    placement = get("zoneout").place() | Placement({Edge.RECURRENT: Drop(0.1, fill=Fill.HOLD)})
    written = set()
    last = {arc.head: k for k, arc in enumerate(arcs(placement, 2, 3))}
    for k, arc in enumerate(arcs(placement, 2, 3)):
        written.add(arc.head)
        assert last.get(arc.tail, -1) < k, arc


@pytest.mark.parametrize(("layers", "n"), [(0, 1), (1, -1)])
def test_impossible_nets_are_refused(layers, n, refused):
    """A count needs a layer and a distance."""
    with refused(AblateError, given=(layers, n)):
        touches(Placement(), layers, n)


def test_rates_that_do_not_fit_the_net_are_refused(refused):
    """Two rates for three layers are a mistake in the placement, not in the count."""
    with refused(AblateError):
        touches(Placement({Edge.HIDDEN: Drop((0.5, 0.1))}), 3, 1)
