"""Cells as values: their gates, state and edges, which fills exist where, and what is refused."""

import dataclasses

import pytest
import torch
from engine.case import make_case, outputs, window_of

from ablate.cells import CELLS, GRU, LSTM, RNN, RNN_RELU, get
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import RULES, Edge
from ablate.engine.plan import Path
from ablate.placement import Placement
from ablate.strategies import get as strategy

CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items()]

_MEMORY_OF_A_GRU = "its memory is h; hold that by HIDDEN with the fill HOLD"
_MEMORY_OF_A_NET = "it has no memory but h; drop that by HIDDEN"
_ALL_OF_H = "what it writes is all of h; drop that by HIDDEN"

# What each cell lacks, and the end of the sentence that says what to do instead.
LACKS = {
    LSTM: {},
    GRU: {Edge.CELL: _MEMORY_OF_A_GRU, Edge.CARRY: _MEMORY_OF_A_GRU},
    RNN: {Edge.UPDATE: _ALL_OF_H, Edge.CELL: _MEMORY_OF_A_NET, Edge.CARRY: _MEMORY_OF_A_NET},
}
LACKS[RNN_RELU] = LACKS[RNN]


@pytest.mark.parametrize(
    ("cell", "gates", "state", "splits", "carries"),
    [
        pytest.param(LSTM, "ifgo", ("h", "c"), False, False, id="lstm"),
        pytest.param(GRU, "rzn", ("h",), True, True, id="gru"),
        pytest.param(RNN, "n", ("h",), False, False, id="rnn"),
        pytest.param(RNN_RELU, "n", ("h",), False, False, id="rnn_relu"),
    ],
)
def test_what_a_cell_is(cell, gates, state, splits, carries):
    """Gates in the order of torch's rows; what its step reads is read off the step."""
    assert (cell.gates, cell.state) == (gates, state)
    assert (cell.splits, cell.carries) == (splits, carries)
    assert get(cell.name) is CELLS[cell.name] is cell
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.gates = "ifgo"


def test_an_unknown_cell_is_refused_with_the_nearest(refused):
    """And with all that there are."""
    with refused():
        get("grru")


@pytest.mark.parametrize("cell", CELL)
def test_every_edge_is_there_or_refused_in_one_sentence(cell, refused):
    """With what to do instead, for every edge and fill of the rules."""
    assert cell.has == LSTM.has & ~Edge(sum(edge.value for edge in LACKS[cell]))
    for edge in LSTM.has:
        for fill in RULES[edge].fills:
            placement = Placement({edge: Drop(0.3, fill=fill)})
            if edge in LACKS[cell]:
                with refused():
                    placement.check(2, cell)
            elif fill not in cell.rule(edge).fills:
                assert (cell, edge, fill) == (GRU, Edge.HIDDEN, Fill.ZERO)
            else:
                placement.check(2, cell)


def test_a_gru_holds_its_hidden_state_and_never_erases_it(refused):
    """The sentence names the fill that exists, and why the other does not."""
    assert GRU.rule(Edge.HIDDEN).fills == (Fill.HOLD,)
    assert GRU.rule(Edge.HIDDEN).scales == ()
    assert not GRU.rule(Edge.HIDDEN).noise
    with refused():
        Placement({Edge.HIDDEN: Drop(0.5)}).check(1, GRU)


def test_why_a_grus_hidden_state_takes_no_zeros():
    """What is kept for a window is divided by 1 - p at each step: 2 ** 35 at .5 with z at 1."""
    case = make_case(1, steps=35, cell=GRU)
    open_z = torch.tensor([0.0, 1e3, 0.0], dtype=torch.float64).repeat_interleave(13)
    weights = case.weights[0]._replace(b_ih=open_z.requires_grad_())
    case = dataclasses.replace(case, weights=(weights,))
    # The engine itself asks nobody.
    kept = Placement({Edge.HIDDEN: Drop(0.5, Sharing(time=ALL))})
    made = outputs(case, kept, window_of(case), Path.LOOPED)
    assert made["s_T"].abs().max() > 1e10


@pytest.mark.parametrize("cell", CELL)
def test_everywhere_takes_what_exists(cell):
    """Every edge but the weights at which zeros exist."""
    placement = strategy("everywhere").place(cell)
    placement.check(2, cell)
    expected = cell.has & ~Edge.WEIGHT
    assert placement.edges == (expected & ~Edge.HIDDEN if cell is GRU else expected)
