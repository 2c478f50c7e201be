"""Law 5: rate 0 is no placement, and the deterministic evaluation samples nothing.

That it is the mean over masks, where the design says so, is held by `test_expectation.py`.
"""

import pytest
import torch
from drawing import Drawn, law, stacks
from engine.case import everything, make_case, outputs, window_of
from hypothesis import given
from single_edges import single_edge_placements

import ablate.masks
from ablate.cells import GRU, LSTM, RNN, RNN_RELU
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode, Path
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.testing import assert_close

EDGE_OF = [
    pytest.param(cell, edge, id=edge.label if cell is LSTM else f"{cell.name}-{edge.label}")
    for cell in (LSTM, GRU, RNN)
    for edge in cell.has
]
ALL_PATHS = [pytest.param(path, id=path.value) for path in Path]


def _alone(edge, cell=LSTM):
    return [placement for placement in single_edge_placements(cell=cell) if edge in placement]


def _equal(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize(("cell", "edge"), EDGE_OF)
def test_rate_zero_is_no_placement(cell, edge, path):
    """Outputs, states and gradients are equal bit for bit, for one zero and for one a layer."""
    case = make_case(2, cell=cell)
    silent = everything(case, Placement(), window_of(case), path)
    places = 1 if edge in Edge.EMBEDDING | Edge.VERTICAL else 2
    for rate in (0.0, (0.0,) * places):
        zero = everything(case, Placement({edge: Drop(rate)}), window_of(case), path)
        assert _equal(zero, silent)


def test_rate_zero_at_one_layer_leaves_that_layer_alone():
    """Where the lower layer's rate is zero its states are those of the silent placement."""
    case = make_case(2)
    silent = outputs(case, Placement(), window_of(case), Path.LOOPED)
    placement = Placement({Edge.CELL: Drop((0.0, 0.5))})
    dropped = outputs(case, placement, window_of(case), Path.LOOPED)
    assert torch.equal(dropped["c_T"][0], silent["c_T"][0])
    assert not torch.equal(dropped["c_T"][1], silent["c_T"][1])


def _refuse(*_):
    raise AssertionError("a coin was sampled")


@pytest.mark.parametrize(("cell", "edge"), EDGE_OF)
def test_evaluation_samples_nothing(cell, edge, monkeypatch):
    """No word is drawn, so that two evaluations are equal bit for bit, whatever the seed."""
    case = make_case(2, cell=cell)
    monkeypatch.setattr(ablate.masks, "philox", _refuse)
    # What reads the placement is the same for all cells: of the others' a few are enough.
    for placement in _alone(edge, cell)[:: 1 if cell is LSTM else 9]:
        one, two, other = (
            outputs(case, placement, window_of(case, mode=Mode.MEAN, **given), Path.LOOPED)
            for given in ({}, {}, {"seed": 8, "update": 9, "batch_offset": 10, "stack": 2})
        )
        assert _equal(one, two), placement.text
        assert _equal(one, other), placement.text
        with pytest.raises(AssertionError, match="a coin was sampled"):
            outputs(case, placement, window_of(case), Path.LOOPED)


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize(
    ("cell", "edge"),
    [own for own in EDGE_OF if Scale.TRAIN in own.values[0].rule(own.values[1]).scales],
)
def test_what_keeps_its_scale_in_training_is_silent_in_evaluation(cell, edge, path):
    """TRAIN, and a noise whose mean is 1, leave the silent network bit for bit."""
    case = make_case(2, cell=cell)
    window = window_of(case, mode=Mode.MEAN)
    silent = outputs(case, Placement(), window, path)
    drops = [Drop(0.5), Drop(0.5, scale=Scale.TRAIN)]
    if edge is not Edge.EMBEDDING:
        drops.append(Drop(0.5, noise=GAUSSIAN))
    for drop in drops:
        assert _equal(outputs(case, Placement({edge: drop}), window, path), silent)


@given(stacks(most=2))
@law
def test_drawn_placements_evaluate_alike(drawn: Drawn):
    """Any placement: equal at two seeds, bit for bit, and finite."""
    case = make_case(drawn.layers)
    one, two = (
        outputs(case, drawn.placement, window_of(case, mode=Mode.MEAN, seed=seed), Path.LOOPED)
        for seed in (1, 2)
    )
    assert _equal(one, two)
    assert all(value.isfinite().all() for value in one.values())


@given(stacks(most=2, cells=(GRU, RNN, RNN_RELU)))
@law
def test_drawn_placements_of_other_cells_evaluate_alike(drawn: Drawn):
    """As above with the edges of a GRU and of plain recurrent nets."""
    case = make_case(drawn.layers, cell=drawn.cell)
    one, two = (
        outputs(case, drawn.placement, window_of(case, mode=Mode.MEAN, seed=seed), Path.LOOPED)
        for seed in (1, 2)
    )
    assert _equal(one, two)
    assert all(value.isfinite().all() for value in one.values())


# One step from a given state, where the deterministic evaluation is read off the listing.
P = 0.3


def _one_step(edge, drop):
    """A layer's step without dropout and with `drop`, in evaluation, and the state before it."""
    case = make_case(1, steps=1)
    window = window_of(case, mode=Mode.MEAN)
    with torch.no_grad():
        silent, found = (
            outputs(case, placement, window, Path.LOOPED)
            for placement in (Placement(), Placement({edge: drop}))
        )
    (s_0, c_0), (h, c) = (part[0] for part in case.state), (silent["y"][0], silent["c_T"][0])
    return {"s_0": s_0, "c_0": c_0, "h": h, "c": c, "o": h / c.tanh()}, found


def _mixed(old, new):
    return P * old + (1.0 - P) * new


@pytest.mark.parametrize(
    ("edge", "drop", "y", "s", "c"),
    [
        pytest.param(
            Edge.RECURRENT,
            Drop(P, fill=Fill.HOLD),
            lambda v: v["h"],
            lambda v: _mixed(v["s_0"], v["h"]),
            lambda v: v["c"],
            id="RECURRENT-hold",
        ),
        pytest.param(
            Edge.HIDDEN,
            Drop(P, fill=Fill.HOLD),
            lambda v: _mixed(v["s_0"], v["h"]),
            lambda v: _mixed(v["s_0"], v["h"]),
            lambda v: v["c"],
            id="HIDDEN-hold",
        ),
        pytest.param(
            Edge.CELL,
            Drop(P, fill=Fill.HOLD),
            lambda v: v["o"] * _mixed(v["c_0"], v["c"]).tanh(),
            lambda v: v["o"] * _mixed(v["c_0"], v["c"]).tanh(),
            lambda v: _mixed(v["c_0"], v["c"]),
            id="CELL-hold",
        ),
        pytest.param(
            Edge.CARRY,
            Drop(P, fill=Fill.HOLD),
            lambda v: v["h"],
            lambda v: v["h"],
            lambda v: _mixed(v["c_0"], v["c"]),
            id="CARRY-hold",
        ),
        pytest.param(
            Edge.HIDDEN,
            Drop(P, scale=Scale.TEST),
            lambda v: (1.0 - P) * v["h"],
            lambda v: (1.0 - P) * v["h"],
            lambda v: v["c"],
            id="HIDDEN-test",
        ),
        pytest.param(
            Edge.CELL,
            Drop(P),
            lambda v: v["o"] * ((1.0 - P) * v["c"]).tanh(),
            lambda v: v["o"] * ((1.0 - P) * v["c"]).tanh(),
            lambda v: (1.0 - P) * v["c"],
            id="CELL-test",
        ),
        pytest.param(
            Edge.CELL,
            Drop(P, Sharing(time=ALL)),
            lambda v: v["o"] * ((1.0 - P) * v["c"]).tanh(),
            lambda v: v["o"] * ((1.0 - P) * v["c"]).tanh(),
            lambda v: v["c"],
            id="CELL-test-window",
        ),
        pytest.param(
            Edge.CARRY,
            Drop(P),
            lambda v: v["h"],
            lambda v: v["h"],
            lambda v: (1.0 - P) * v["c"],
            id="CARRY-test",
        ),
        pytest.param(
            Edge.OUTPUT,
            Drop(P, scale=Scale.TEST),
            lambda v: (1.0 - P) * v["h"],
            lambda v: v["h"],
            lambda v: v["c"],
            id="OUTPUT-test",
        ),
    ],
)
def test_one_step_of_the_deterministic_evaluation(edge, drop, y, s, c):
    """HOLD mixes p old + (1 - p) new and TEST multiplies by 1 - p, at the place of its edge."""
    values, found = _one_step(edge, drop)
    expected = {"y": y(values)[None], "s_T": s(values)[None], "c_T": c(values)[None]}
    assert_close(
        {name: part.flatten(0, 1) for name, part in found.items()},
        {name: part.flatten(0, 1) for name, part in expected.items()},
    )


@pytest.mark.parametrize("cell", [GRU, RNN], ids=lambda cell: cell.name)
def test_one_step_of_another_cells_deterministic_evaluation(cell):
    """HOLD mixes at HIDDEN and at RECURRENT, TEST multiplies what HIDDEN, or UPDATE, drops."""
    case = make_case(1, steps=1, cell=cell)
    window = window_of(case, mode=Mode.MEAN)

    def made(*edges, **given):
        placement = Placement({edge: Drop(P, **given) for edge in edges})
        found = outputs(case, placement, window, Path.LOOPED)
        return {name: value.detach()[0] for name, value in found.items()}

    old, h = case.state[0][0].detach(), made()["y"]
    mixed = _mixed(old, h)
    assert_close(made(Edge.HIDDEN, fill=Fill.HOLD), {"y": mixed, "s_T": mixed})
    assert_close(made(Edge.RECURRENT, fill=Fill.HOLD), {"y": h, "s_T": mixed})
    if cell is RNN:
        kept = (1.0 - P) * h
        assert_close(made(Edge.HIDDEN, scale=Scale.TEST), {"y": kept, "s_T": kept})
        return
    # h = (1 - z) n + z h_0, with z from the weights.
    weights = case.weights[0]
    of_x = case.x_TBD[0] @ weights.w_ih.t() + weights.b_ih
    of_h = old @ weights.w_hh.t() + weights.b_hh
    z = (of_x + of_h).detach().unflatten(1, (3, -1))[:, 1].sigmoid()
    updated = (1.0 - P) * (h - z * old) + z * old
    assert_close(made(Edge.UPDATE, scale=Scale.TEST), {"y": updated, "s_T": updated})
