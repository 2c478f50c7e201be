"""A placement as a value: canonical, joined by `|`, printable as one row."""

import operator
import pickle
from dataclasses import replace

import pytest
from drawing import EDGES, Drawn, placements, seeded, stacks
from hypothesis import assume, given
from hypothesis import strategies as st

from ablate.cells import LSTM
from ablate.drops import ALL, BOTTOM, GROWING, TOP, Drop, Fill, Layers, Scale, Sharing
from ablate.edges import Edge, layers_of, rate_index
from ablate.errors import AblateError
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.schedules import CONSTANT, CURRICULUM

ORDER = [
    "EMBEDDING",
    "INPUT",
    "INTERLAYER",
    "OUTPUT",
    "WEIGHT",
    "RECURRENT",
    "HIDDEN",
    "UPDATE",
    "CELL",
    "CARRY",
]


def test_edges_have_fixed_numbers():
    """An edge's number is part of every mask's address: the order can never change."""
    assert [edge.name for edge in Edge] == ORDER
    assert [edge.number for edge in Edge] == list(range(10))
    assert [1 << edge.number for edge in Edge] == [edge.value for edge in Edge]


def test_vertical_is_what_runs_upward():
    """VERTICAL is the union of the edges between layers, and a union has a label but no number."""
    assert Edge.VERTICAL == Edge.INPUT | Edge.INTERLAYER | Edge.OUTPUT
    assert Edge.VERTICAL.label == "INPUT|INTERLAYER|OUTPUT"
    with pytest.raises(ValueError, match="a union of edges has no number"):
        _ = Edge.VERTICAL.number


def test_an_lstm_has_all_ten_edges():
    """The set that this architecture publishes."""
    assert [edge.name for edge in LSTM.has] == ORDER


@pytest.mark.parametrize(
    ("edge", "places"),
    [
        pytest.param(edge, places, id=edge.label)
        for edge, places in {
            Edge.EMBEDDING: {1: [0], 3: [0]},
            Edge.INPUT: {1: [0], 3: [0]},
            Edge.INTERLAYER: {1: [], 3: [1, 2]},
            Edge.OUTPUT: {1: [0], 3: [2]},
            Edge.CELL: {1: [0], 3: [0, 1, 2]},
        }.items()
    ],
)
def test_where_an_edge_acts(edge, places):
    """The layers at which an edge acts: its first, its top, those above the first, or all."""
    assert {layers: list(layers_of(edge, layers)) for layers in places} == places
    for acts in places.values():
        assert [rate_index(edge, layer) for layer in acts] == list(range(len(acts)))


def test_a_union_gives_each_edge_the_same_drop():
    """One entry for VERTICAL is three entries."""
    joined = Placement({Edge.VERTICAL: Drop(0.5)})
    apart = Placement({edge: Drop(0.5) for edge in (Edge.OUTPUT, Edge.INPUT, Edge.INTERLAYER)})
    assert joined == apart
    assert joined.edges == Edge.VERTICAL


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(
            lambda: Placement({Edge.VERTICAL: Drop(0.5), Edge.INPUT: Drop(0.5)}), id="in-a-table"
        ),
        pytest.param(
            lambda: Placement({Edge.VERTICAL: Drop(0.5)}) | Placement({Edge.INPUT: Drop(0.1)}),
            id="joined",
        ),
    ],
)
def test_an_edge_takes_one_drop(build, refused):
    """An overlap is refused by the edge's name, equal drops or not."""
    with refused():
        build()


@pytest.mark.parametrize(
    "drops",
    [
        pytest.param(
            {Edge.CELL: 0.3},
            id="a-rate",
        ),
        pytest.param(
            {"CELL": Drop(0.3)},
            id="a-name",
        ),
        pytest.param(
            Drop(0.3),
            id="a-drop",
        ),
        pytest.param(0, id="a-number"),
        pytest.param({Edge.INPUT & Edge.OUTPUT: Drop(0.3)}, id="no-edge"),
    ],
)
def test_another_type_is_refused(drops, refused):
    """What a placement is made of, and what was given."""
    with refused():
        Placement(drops)


def test_zero_rates_vanish():
    """A placement that never drops is the silent one, and a zero does not overlap."""
    zero = Placement({Edge.VERTICAL: Drop(0.0), Edge.CELL: Drop((0.0, 0.0))})
    assert zero == Placement() == Placement({})
    assert (len(zero), zero.text, zero.edges) == (0, "none", Edge(0))
    assert (zero | Placement({Edge.CELL: Drop(0.3)})).edges == Edge.CELL


def test_a_zero_at_one_layer_stays():
    """Only an edge that never drops vanishes."""
    assert Placement({Edge.CELL: Drop((0.0, 0.3))})[Edge.CELL].rate == (0.0, 0.3)


def test_equal_placements_have_equal_hashes_also_at_minus_zero():
    """The sign of a layer's zero rate tells nothing apart."""
    plus, minus = (Placement({Edge.CELL: Drop((zero, 0.5))}) for zero in (0.0, -0.0))
    assert plus == minus
    assert (hash(plus), plus.text) == (hash(minus), minus.text)


def test_a_placement_reads_as_a_mapping():
    """In the order of the edges' numbers, whatever the order given."""
    placement = Placement({Edge.CARRY: Drop(0.2), Edge.INPUT: Drop(0.1)})
    assert list(placement) == [Edge.INPUT, Edge.CARRY]
    assert Edge.INPUT in placement
    assert Edge.CELL not in placement
    assert placement.get(Edge.CELL) is None
    assert placement[Edge.CARRY].rate == 0.2
    with pytest.raises(KeyError):
        _ = placement[Edge.CELL]


@pytest.mark.parametrize("ask", [Placement.__contains__, Placement.get, Placement.__getitem__])
@pytest.mark.parametrize("edges", [Edge.VERTICAL, Edge.INPUT | Edge.CELL])
def test_a_placement_is_asked_for_one_edge(ask, edges, refused):
    """A union is a key of the constructor; looked up, it would be in no placement."""
    with refused():
        ask(Placement({Edge.VERTICAL: Drop(0.5)}), edges)


def test_a_placement_cannot_be_written():
    """Neither an edge nor an attribute can be set."""
    placement = Placement({Edge.INPUT: Drop(0.1)})
    with pytest.raises(TypeError):
        placement[Edge.CELL] = Drop(0.2)
    with pytest.raises(AttributeError):
        placement.rate = 0.2


@pytest.mark.parametrize(
    ("placement", "text"),
    [
        pytest.param(Placement(), "none", id="silent"),
        pytest.param(
            Placement({Edge.VERTICAL: Drop(0.5)}),
            "INPUT(0.5;time=1,batch=1,unit=1,gate=ALL,update=1;ZERO;BERNOULLI;TRAIN) | "
            "INTERLAYER(0.5;time=1,batch=1,unit=1,gate=ALL,update=1;ZERO;BERNOULLI;TRAIN) | "
            "OUTPUT(0.5;time=1,batch=1,unit=1,update=1;ZERO;BERNOULLI;TRAIN)",
            id="zaremba2014",
        ),
        pytest.param(
            Placement({Edge.CARRY: Drop((0.1, 0.0), Sharing(time=10), fill=Fill.HOLD)}),
            "CARRY(0.1/0.0;time=10,batch=1,unit=1,update=1;HOLD;BERNOULLI;MEAN)",
            id="held-by-layer",
        ),
        pytest.param(
            Placement({Edge.WEIGHT: Drop(0.5), Edge.EMBEDDING: Drop(0.1, Sharing(batch=ALL))}),
            "EMBEDDING(0.1;time=ALL,word=1,batch=ALL,unit=ALL,update=1;ZERO;BERNOULLI;TRAIN) | "
            "WEIGHT(0.5;source=1,unit=1,gate=1,update=1;ZERO;BERNOULLI;TRAIN)",
            id="words-and-weights",
        ),
        pytest.param(
            Placement({Edge.RECURRENT: Drop(0.25, Sharing(gate=1, update=2), noise=GAUSSIAN)}),
            "RECURRENT(0.25;time=1,batch=1,unit=1,gate=1,update=2;ZERO;GAUSSIAN;TRAIN)",
            id="gaussian-by-gate",
        ),
    ],
)
def test_the_canonical_text(placement, text):
    """The text enters every result's key: changing it makes old results unfindable."""
    assert placement.text == text
    assert repr(placement) == f"Placement({text})"


def test_one_flat_row():
    """Each edge is its rate (None where layers differ) and its drop's text; then the schedule."""
    placement = Placement({Edge.INPUT: Drop(0.5), Edge.CELL: Drop((0.1, 0.2), scale=Scale.TEST)})
    row = placement.row()
    edges = [f"{name.lower()}.{what}" for name in ORDER for what in ("rate", "drop")]
    assert list(row) == [*edges, "schedule"]
    assert row["schedule"] == "CONSTANT"
    assert (row["input.rate"], row["input.drop"]) == (0.5, placement[Edge.INPUT].text)
    assert (row["cell.rate"], row["cell.drop"]) == (None, placement[Edge.CELL].text)
    assert (row["output.rate"], row["output.drop"]) == (0.0, "")
    assert all(isinstance(value, float | str | None) for value in row.values())


@pytest.mark.parametrize(
    ("edge", "layers", "rates"),
    [
        pytest.param(Edge.CELL, 2, (0.1, 0.2), id="every-layer"),
        pytest.param(Edge.INTERLAYER, 3, (0.1, 0.2), id="between-three"),
        pytest.param(Edge.CELL, 5, 0.3, id="one-rate"),
    ],
)
def test_rates_that_fit_the_net_pass(edge, layers, rates):
    """One rate fits any net; a tuple has one for each layer at which its edge acts."""
    Placement({edge: Drop(rates)}).check(layers)


@pytest.mark.parametrize(
    ("edge", "layers"),
    [
        pytest.param(
            Edge.CELL,
            3,
            id="too-few",
        ),
        pytest.param(
            Edge.INTERLAYER,
            2,
            id="between-two",
        ),
        pytest.param(
            Edge.OUTPUT,
            2,
            id="top-only",
        ),
    ],
)
def test_rates_that_do_not_fit_the_net_are_refused(edge, layers, refused):
    """The message names the edge, its places in this net, and what was given."""
    with refused():
        Placement({edge: Drop((0.1, 0.2))}).check(layers)


RULES = [pytest.param(rule, id=rule.value) for rule in (TOP, BOTTOM, GROWING)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.label)
def test_a_rule_by_layer_fits_every_net(edge, rule):
    """Within a net it is the rates of the layers at which the edge acts."""
    placement = Placement({edge: Drop(0.5, layers=rule)})
    for layers in (1, 2, 3, 5):
        placement.check(layers)
        here, places = placement.within(layers), len(layers_of(edge, layers))
        assert here.edges == (edge if places else Edge(0))
        if places:
            assert here[edge] == replace(placement[edge].laid(places), layers=Layers.ALL)
        assert here.within(layers) is here


@pytest.mark.parametrize("rule", RULES)
def test_an_edge_of_one_place_has_no_rules(rule):
    """It would be the same placement under another text, and another key."""
    ruled = Placement({Edge.VERTICAL | Edge.EMBEDDING: Drop(0.5, layers=rule)})
    assert ruled - Edge.INTERLAYER == Placement(
        {Edge.EMBEDDING | Edge.INPUT | Edge.OUTPUT: Drop(0.5)}
    )
    assert ruled[Edge.INTERLAYER].layers is rule


def test_a_row_has_the_rate_of_a_rule():
    """One number, which can be sorted and drawn; the drop's text has the rule."""
    row = Placement({Edge.CELL: Drop(0.5, layers=TOP)}).row()
    assert row["cell.rate"] == 0.5
    assert row["cell.drop"].startswith("0.5*TOP;")


@given(placements(3), st.sampled_from((CONSTANT, CURRICULUM)))
@seeded(100)
def test_within_a_net_nothing_else_changes(placement, schedule):
    """Edges, sharings, fills, scales and schedule stay; no rule is left."""
    here = Placement(placement, schedule).within(3)
    assert here.edges == placement.edges
    assert here.schedule == (schedule if placement else CONSTANT)
    for edge, drop in here.items():
        assert drop.layers is Layers.ALL
        assert drop == replace(placement[edge], rate=drop.rate, layers=Layers.ALL)


@given(stacks())
@seeded(100)
def test_every_drawn_placement_fits_its_net(drawn: Drawn):
    """The strategy of the other tests draws only what exists."""
    drawn.placement.check(drawn.layers)


@st.composite
def _parts(draw, count):
    """Placements over disjoint sets of edges."""
    owner = [draw(st.integers(0, count)) for _ in EDGES]
    sets = [[e for e, who in zip(EDGES, owner, strict=True) if who == n] for n in range(count)]
    return [draw(placements(2, tuple(edges))) if edges else Placement() for edges in sets]


@given(_parts(3))
@seeded(100)
def test_joining_is_a_commutative_monoid(parts):
    """`|` is commutative and associative, and the silent placement is its unit."""
    p, q, r = parts
    assert p | q == q | p
    assert (p | q) | r == p | (q | r)
    assert p | Placement() == p == Placement() | p
    assert ((p | q) | r).edges == p.edges | q.edges | r.edges
    assert len(p | q) == len(p) + len(q)


@given(placements(2), placements(2))
@seeded(100)
def test_a_join_is_refused_exactly_where_edges_meet(p, q):
    """Two placements join if and only if no edge drops in both."""
    if not p.edges & q.edges:
        assert (p | q).edges == p.edges | q.edges
        return
    with pytest.raises(AblateError):
        _ = p | q


UNIONS = st.lists(st.sampled_from(EDGES)).map(lambda edges: Edge(sum(e.value for e in set(edges))))


@given(placements(2), UNIONS, st.sampled_from((CONSTANT, CURRICULUM)))
@seeded(100)
def test_edges_are_taken_out_and_put_back(placement, edges, schedule):
    """`&` keeps these edges, `-` the others, both the schedule; joined they are the whole."""
    placement = Placement(placement, schedule)
    inner, outer = placement & edges, placement - edges
    assert inner.edges == placement.edges & edges
    assert outer.edges == placement.edges & ~edges
    assert inner | outer == outer | inner == placement
    assert all(part.schedule == schedule for part in (inner, outer) if len(part))
    assert (inner & edges, inner - edges) == (inner, Placement())


def test_edges_alone_are_taken_from_a_placement():
    """The other side of `&` and `-` is edges, never a placement."""
    placement = Placement({Edge.INPUT: Drop(0.5)})
    for operate in (operator.and_, operator.sub):
        with pytest.raises(TypeError):
            operate(placement, placement)


def test_two_schedules_do_not_join(refused):
    """Equal ones do, and the silent placement joins any."""
    rising = Placement({Edge.INPUT: Drop(0.5)}, CURRICULUM)
    plain = Placement({Edge.CELL: Drop(0.1)})
    assert (rising | Placement(plain, CURRICULUM)).schedule == CURRICULUM
    assert rising | Placement() == Placement() | rising == rising
    with refused():
        _ = rising | plain


@given(placements(2))
@seeded(100)
def test_a_placement_is_rebuilt_from_its_entries(placement):
    """Completing what is complete changes nothing, in any order of edges."""
    again = Placement(dict(reversed(list(placement.items()))))
    assert again == placement
    assert (hash(again), again.text, again.row()) == (
        hash(placement),
        placement.text,
        placement.row(),
    )


@given(placements(2))
@seeded(50)
def test_a_placement_travels(placement):
    """A pickled placement is equal, so that spawned workers train what was enumerated."""
    travelled = pickle.loads(pickle.dumps(placement))
    assert travelled == placement
    assert {placement: "found"}[travelled] == "found"


@given(placements(2, (Edge.CELL, Edge.RECURRENT)), placements(2, (Edge.CELL, Edge.RECURRENT)))
@seeded(200)
def test_different_placements_have_different_texts(p, q):
    """The text tells placements apart, so that a key made of it does."""
    assume(p != q)
    assert p.text != q.text
    assert p.row() != q.row()


def test_a_placement_is_no_plain_table():
    """A dict of the same drops is not a placement: its defaults are not filled in."""
    assert Placement({Edge.INPUT: Drop(0.5)}) != {Edge.INPUT: Drop(0.5)}
    assert Placement({Edge.INPUT: Drop(0.5, Sharing(time=ALL))}) != Placement(
        {Edge.INPUT: Drop(0.5)}
    )
