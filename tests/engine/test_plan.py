"""The plan: where each drop reaches, which path that leaves, and the sentence that says why."""

import dataclasses
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from drawing import EDGES, Drawn, seeded, stacks
from engine.case import MODES, H, forward, layer_factors, make_case, window_of
from hypothesis import given
from hypothesis import strategies as st
from single_edges import single_edge_placements

from ablate.cells import CELLS, GRU, LSTM
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.plan import LIBRARY_IS_FASTER, Mode, Path, Plan, Reach, plan
from ablate.noise import GAUSSIAN
from ablate.placement import Placement


@pytest.fixture(autouse=True)
def measured_faster(monkeypatch):
    """Take the library's own cells for faster on both devices, whatever was measured."""
    measured = dict.fromkeys(("cpu", "cuda"), frozenset(CELLS))
    monkeypatch.setattr("ablate.engine.plan.LIBRARY_IS_FASTER", measured)


ONE = Sharing(time=ALL, batch=ALL)
TESTED = Scale.TEST

# edge, drop, reach in training, reach in evaluation
REACHES = [
    (Edge.EMBEDDING, Drop(0.5), "outside", "silent"),
    (Edge.EMBEDDING, Drop(0.5, scale=TESTED), "outside", "outside"),
    (Edge.INPUT, Drop(0.5), "outside", "silent"),
    (Edge.INPUT, Drop(0.5, scale=TESTED), "outside", "outside"),
    (Edge.INPUT, Drop(0.5, ONE), "outside", "silent"),
    (Edge.INPUT, Drop(0.5, Sharing(gate=1)), "inside", "silent"),
    (Edge.INPUT, Drop(0.5, Sharing(gate=1), scale=TESTED), "inside", "outside"),
    (Edge.INPUT, Drop(0.5, Sharing(gate=1, time=ALL)), "inside", "silent"),
    (Edge.INPUT, Drop(0.5, Sharing(gate=1, time=ALL, batch=ALL)), "foldable", "silent"),
    (Edge.INTERLAYER, Drop(0.5), "outside", "silent"),
    (Edge.INTERLAYER, Drop(0.5, Sharing(gate=1)), "inside", "silent"),
    (Edge.INTERLAYER, Drop(0.5, Sharing(gate=1, time=ALL, batch=ALL)), "foldable", "silent"),
    (Edge.OUTPUT, Drop(0.5), "outside", "silent"),
    (Edge.OUTPUT, Drop(0.5, noise=GAUSSIAN), "outside", "silent"),
    (Edge.OUTPUT, Drop(0.5, scale=TESTED), "outside", "outside"),
    (Edge.WEIGHT, Drop(0.5), "foldable", "silent"),
    (Edge.WEIGHT, Drop(0.5, scale=TESTED), "foldable", "foldable"),
    (Edge.WEIGHT, Drop(0.5, noise=GAUSSIAN), "foldable", "silent"),
    (Edge.RECURRENT, Drop(0.5), "inside", "silent"),
    (Edge.RECURRENT, Drop(0.5, scale=TESTED), "inside", "foldable"),
    (Edge.RECURRENT, Drop(0.5, Sharing(time=ALL)), "inside", "silent"),
    (Edge.RECURRENT, Drop(0.5, ONE), "foldable", "silent"),
    (Edge.RECURRENT, Drop(0.5, ONE, noise=GAUSSIAN), "foldable", "silent"),
    (Edge.RECURRENT, Drop(0.5, Sharing(gate=1, time=ALL, batch=ALL)), "foldable", "silent"),
    (Edge.RECURRENT, Drop(0.5, ONE, fill=Fill.HOLD), "inside", "inside"),
    (Edge.HIDDEN, Drop(0.5), "inside", "silent"),
    (Edge.HIDDEN, Drop(0.5, ONE), "inside", "silent"),
    (Edge.HIDDEN, Drop(0.5, scale=TESTED), "inside", "inside"),
    (Edge.HIDDEN, Drop(0.5, fill=Fill.HOLD), "inside", "inside"),
    (Edge.UPDATE, Drop(0.5), "inside", "silent"),
    (Edge.UPDATE, Drop(0.5, scale=TESTED), "inside", "inside"),
    (Edge.CELL, Drop(0.5), "inside", "inside"),
    (Edge.CELL, Drop(0.5, ONE), "inside", "inside"),
    (Edge.CARRY, Drop(0.5), "inside", "inside"),
    (Edge.CARRY, Drop(0.5, fill=Fill.HOLD), "inside", "inside"),
]


@pytest.mark.parametrize("mode", [pytest.param(mode, id=mode.value) for mode in MODES])
@pytest.mark.parametrize(
    ("edge", "drop", "training", "evaluation"),
    [pytest.param(*row, id=f"{row[0].label}-{row[1].text}") for row in REACHES],
)
def test_how_deep_each_drop_reaches(edge, drop, training, evaluation, mode):
    """Training and evaluation are planned apart: what keeps its scale in training rests after."""
    made = plan(Placement({edge: drop}), 2, mode=mode)
    (reached,) = made.reaches
    assert reached.edge is edge
    assert reached.reach.value == (training if mode is Mode.TRAIN else evaluation)
    assert edge.label in reached.reason
    assert reached.reason.endswith(".")
    inside = reached.reach is Reach.INSIDE
    assert made.path is (Path.LOOPED if inside else Path.LIBRARY)


@pytest.mark.parametrize(
    ("edges", "device", "path", "reason"),
    [
        pytest.param(
            Edge(0),
            "cpu",
            Path.LIBRARY,
            "Nothing is dropped, and the library's own LSTM was measured faster on cpu.",
            id="silent",
        ),
        pytest.param(
            Edge.VERTICAL,
            "cuda:1",
            Path.LIBRARY,
            "No edge acts inside the loop, and the library's own LSTM was measured faster on cuda.",
            id="vertical",
        ),
        pytest.param(
            Edge.VERTICAL,
            "abacus",
            Path.LOOPED,
            "No edge acts inside the loop, "
            "but the library's own LSTM was not measured faster on abacus.",
            id="unmeasured-device",
        ),
        pytest.param(
            Edge.VERTICAL | Edge.CELL,
            "cpu",
            Path.LOOPED,
            "CELL acts inside the loop over time.",
            id="one-inside",
        ),
        pytest.param(
            Edge.CELL | Edge.RECURRENT,
            "cpu",
            Path.LOOPED,
            "RECURRENT, CELL act inside the loop over time.",
            id="two-inside",
        ),
    ],
)
def test_a_plan_says_why(edges, device, path, reason):
    """The path follows from the edges and from what was measured on the device."""
    made = plan(Placement(dict.fromkeys(edges, Drop(0.5))), 2, device=device)
    assert (made.path, made.reason) == (path, reason)
    assert [reached.edge for reached in made.reaches] == list(edges)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        pytest.param(
            GRU,
            "Nothing is dropped, and the library's own GRU was measured faster on cpu.",
            id="gru",
        ),
        pytest.param(
            replace(LSTM, name="unheard", library=None),
            "Nothing is dropped, but no library has UNHEARD cells.",
            id="unheard",
        ),
    ],
)
def test_a_plan_knows_its_cell(cell, reason, refused):
    """What a library has is the cell's to say; so is what fits."""
    made = plan(Placement(), 2, cell=cell)
    assert made.reason == reason
    assert made.path is (Path.LIBRARY if cell.library else Path.LOOPED)
    held = plan(Placement({Edge.HIDDEN: Drop(0.5, fill=Fill.HOLD)}), 2, cell=cell)
    assert held.reason == "HIDDEN acts inside the loop over time."
    if cell is GRU:
        with refused():
            plan(Placement({Edge.CARRY: Drop(0.5)}), 2, cell=cell)


def test_a_plan_is_a_value():
    """Frozen, comparable, equal for equal arguments."""
    placement = Placement({Edge.CELL: Drop(0.5)})
    made = plan(placement, 2)
    assert made == plan(placement, 2)
    assert isinstance(made, Plan)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.path = Path.LIBRARY


def test_what_was_measured_cannot_be_written_to():
    """It decides which path a trial takes, so that no caller may change it for another."""
    with pytest.raises(TypeError):
        LIBRARY_IS_FASTER["cpu"] = frozenset()


def test_rates_that_do_not_fit_the_net_are_refused(refused):
    """A plan is made of a placement and a net that go together."""
    with refused():
        plan(Placement({Edge.CELL: Drop((0.1, 0.2))}), 3)


def _fits_outside(factors):
    """Whether a library's LSTM can run under these factors."""
    apart = sites.INPUT in factors and factors[sites.INPUT].shape[2] > 1
    return set(factors) <= sites.BEFORE_THE_LOOP and not apart


@given(stacks(), st.sampled_from(MODES))
@seeded(150)
def test_a_plan_keeps_its_word(drawn: Drawn, mode):
    """What is planned fused leaves no factor inside the loop of any layer."""
    window = window_of(make_case(1), mode=mode)
    made = plan(drawn.placement, drawn.layers, mode=mode)
    fits = [
        _fits_outside(layer_factors(drawn.placement, layer, window, inputs=H))
        for layer in range(drawn.layers)
    ]
    if made.path is Path.LIBRARY:
        assert all(fits)


@pytest.mark.parametrize("mode", [pytest.param(mode, id=mode.value) for mode in MODES])
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_the_fused_path_refuses_exactly_what_is_inside(edge, mode):
    """It runs every placement that is planned for it and raises, by name, for every other."""
    case = make_case()
    window = window_of(case, mode=mode)
    arguments = (case.x_TBD, case.state, case.weights)
    for placement in single_edge_placements():
        if edge not in placement:
            continue
        with torch.no_grad():
            if plan(placement, 2, mode=mode).path is Path.LIBRARY:
                made = forward(
                    *arguments, placement, window, Path.LIBRARY, tokens_TB=case.tokens_TB
                )
                assert made.y_TBX.isfinite().all()
            else:
                with pytest.raises(ValueError, match="the library path"):
                    forward(*arguments, placement, window, Path.LIBRARY)


@pytest.mark.parametrize("module", ["ablate", "ablate.placement", "ablate.engine.plan"])
def test_planning_imports_no_torch(module):
    """The language and the plan are light: a command that only plans starts at once."""
    program = f"import sys, {module}; print({{'torch', 'numpy', 'pandas'}} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("gate", [1, ALL], ids=["gates-apart", "gates-together"])
def test_an_edge_without_a_place_in_the_net_is_silent(mode, gate):
    """Between the layers of one layer nothing reaches anything, so it forces no path."""
    between = Placement({Edge.INTERLAYER: Drop(0.5, Sharing(time=1, gate=gate))})
    planned, nothing = plan(between, 1, mode=mode), plan(Placement(), 1, mode=mode)
    assert (planned.path, planned.reason) == (nothing.path, nothing.reason)
    (reached,) = planned.reaches
    assert reached.reach is Reach.SILENT
    assert reached.reason == "INTERLAYER has no place in a net of 1 layer."
    beside = between | Placement({Edge.OUTPUT: Drop(0.5)})
    assert plan(beside, 1, mode=mode).path is Path.LIBRARY
    assert (plan(beside, 2).path is Path.LIBRARY) == (gate is ALL)
