"""Law 1: every path of the engine equals the specification, value by value, gradient by gradient.

Kernels run eagerly here; `test_compiled.py` holds the compiled ones to the same source.
"""

import pytest
import torch
from conftest import assert_close, single_edge_placements
from drawing import EDGES, RATES, Drawn, seeded, stacks
from engine.case import MODES, everything, forward, make_case, window_of
from hypothesis import given
from hypothesis import strategies as st

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode, Path, Reach, plan
from ablate.placement import Placement

SIZES = [
    pytest.param(7, torch.float64, id="T7-float64"),
    pytest.param(1, torch.float64, id="T1-float64"),
    pytest.param(7, torch.float32, id="T7-float32"),
    pytest.param(1, torch.float32, id="T1-float32"),
]
MODE = [pytest.param(mode, id=mode.value) for mode in MODES]


def _assert_paths_equal(case, placement, window):
    """Compare looped, and fused where nothing is inside the loop, with the reference."""
    expected = everything(case, placement, window, Path.REFERENCE)
    reaches = plan(placement, len(case.weights), mode=window.mode).reaches
    inside = any(reached.reach is Reach.INSIDE for reached in reaches)
    for path in (Path.LOOPED,) if inside else (Path.LOOPED, Path.FUSED):
        found = everything(case, placement, window, path)
        assert_close(found, expected, f"{path.value}, {window.mode.value}: {placement.text}")


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize(("steps", "dtype"), SIZES)
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_every_edge_alone(edge, steps, dtype, mode):
    """Two layers with one edge dropped, at every fill, scale, noise and a grid of sharings."""
    case = make_case(steps=steps, dtype=dtype)
    window = window_of(case, mode=mode)
    placements = [placement for placement in single_edge_placements() if edge in placement]
    assert len(placements) >= 12
    for placement in placements:
        _assert_paths_equal(case, placement, window)


@pytest.mark.parametrize(("steps", "dtype"), SIZES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_a_silent_placement(steps, dtype, bias):
    """Without dropout all three paths are the same LSTM, with biases and without."""
    case = make_case(steps=steps, dtype=dtype, bias=bias)
    window = window_of(case)
    expected = everything(case, Placement(), window, Path.REFERENCE)
    for path in (Path.LOOPED, Path.FUSED):
        assert_close(everything(case, Placement(), window, path), expected, path.value)


@given(
    stacks(),
    st.sampled_from(MODES),
    st.sampled_from((7, 1, 2)),
    st.booleans(),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
@seeded(150)
def test_drawn_placements(drawn: Drawn, mode, steps, bias, start, seed):
    """Any edges together, any rates by layer, one to three layers, in the middle of a sequence."""
    case = make_case(drawn.layers, steps=steps, bias=bias)
    window = window_of(case, mode=mode, start=start, batch_offset=2 * start, seed=seed)
    _assert_paths_equal(case, drawn.placement, window)


@given(stacks(), st.sampled_from(MODES))
@seeded(50)
def test_drawn_placements_in_single_precision(drawn: Drawn, mode):
    """As above in float32."""
    case = make_case(drawn.layers, dtype=torch.float32)
    _assert_paths_equal(case, drawn.placement, window_of(case, mode=mode))


@given(RATES, RATES, st.sampled_from(MODES))
@seeded(20)
def test_all_edges_at_once(rate, other, mode):
    """All ten edges of three layers drop, HOLD and gates apart included."""
    placement = Placement(
        {
            Edge.EMBEDDING: Drop(rate),
            Edge.INPUT: Drop(rate, Sharing(gate=1)),
            Edge.INTERLAYER: Drop((rate, other), scale=Scale.TEST),
            Edge.OUTPUT: Drop(other, Sharing(unit=2)),
            Edge.WEIGHT: Drop(other),
            Edge.RECURRENT: Drop((rate, 0.0, other), Sharing(gate=1, time=2)),
            Edge.HIDDEN: Drop(rate, fill=Fill.HOLD),
            Edge.UPDATE: Drop(other, Sharing(time=ALL)),
            Edge.CELL: Drop((other, rate, rate), Sharing(time=3)),
            Edge.CARRY: Drop(rate, fill=Fill.HOLD),
        }
    )
    case = make_case(3)
    _assert_paths_equal(case, placement, window_of(case, mode=mode))


@pytest.mark.parametrize("mode", MODE)
def test_both_states_held(mode):
    """HOLD on HIDDEN and on RECURRENT together: each holds the state handed on, s_{t-1}."""
    placement = Placement(
        {Edge.HIDDEN: Drop(0.4, fill=Fill.HOLD), Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)}
    )
    case = make_case()
    _assert_paths_equal(case, placement, window_of(case, mode=mode))


@pytest.mark.parametrize("path", [Path.LOOPED, Path.FUSED], ids=lambda path: path.value)
@pytest.mark.parametrize("used", ["y", "s", "c"])
def test_one_output_alone_has_its_gradient(path, used):
    """A loss of the sequence, or of one final state, leaves the other outputs without gradient."""
    case = make_case()
    place = {"y": 0, "s": 1, "c": 2}[used]

    def gradients(path):
        made = forward(case.x_TBD, case.state, case.weights, Placement(), window_of(case), path)
        leaves = case.leaves()
        loss = (made[place] * case.cotangents[place]).sum()
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    assert_close(gradients(path), gradients(Path.REFERENCE), f"{path.value} of {used}")


def test_a_path_leaves_its_inputs_alone():
    """Inputs, states and weights are not written to, forward or backward."""
    case = make_case()
    before = {name: leaf.detach().clone() for name, leaf in case.leaves().items()}
    placement = Placement({Edge.RECURRENT: Drop(0.3), Edge.CELL: Drop(0.3)})
    everything(case, placement, window_of(case, mode=Mode.TRAIN), Path.LOOPED)
    for name, leaf in case.leaves().items():
        assert torch.equal(leaf, before[name]), name
