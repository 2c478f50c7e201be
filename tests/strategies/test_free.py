"""`free` holds every placement of one edge, and any of them together."""

import pytest

from ablate.cells import CELLS
from ablate.edges import RULES, Edge
from ablate.placement import Placement
from ablate.strategies import get
from ablate.strategies.free import name_of, rate_of

FREE = get("free")


@pytest.mark.parametrize("edge", list(Edge))
@pytest.mark.parametrize("sharing", ["step", "window"])
def test_one_edge_alone_is_the_strategy_of_that_edge(edge: Edge, sharing: str):
    """At its own rate and sharing; a weight's mask is that of a window alone."""
    name, timed = name_of(edge), "time" in RULES[edge].axes
    if not timed and sharing == "step":
        assert not FREE.parameters[name].accepts("step")
        return
    own = {"sharing": sharing} if timed else {}
    expected = get(name).place(rate=0.4, **own)
    assert FREE.place(**{name: sharing, rate_of(edge): 0.4}) == expected


def test_edges_together_are_their_union():
    """Each with what its own arguments say."""
    found = FREE.place(input="step", output="window", output_rate=0.5, cell_rate=0.9)
    assert found == get("input").place() | get("output").place(rate=0.5, sharing="window")


def test_by_default_nothing_drops():
    """The point at which a search begins is `none`, whatever the rates of what is off."""
    assert FREE.place() == Placement()
    assert FREE.place(input_rate=0.9) == Placement()


def test_a_new_edge_brings_its_arguments():
    """Two for each edge that there is, so that no list of edges stands twice."""
    assert set(FREE.parameters) == {name(edge) for edge in Edge for name in (name_of, rate_of)}


def test_an_edge_that_a_cell_lacks_has_no_effect():
    """A search may go through one space in every cell."""
    gru = CELLS["gru"]
    assert FREE.place(gru, cell="step", hidden="step") == FREE.place(gru, hidden="step")
