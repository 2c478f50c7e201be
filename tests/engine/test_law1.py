"""Law 1: every path of the engine equals the specification, value by value, gradient by gradient.

Kernels run eagerly here; `test_compiled.py` holds the compiled ones to the same source.
"""

import random

import pytest
import torch
from drawing import EDGES, RATES, Drawn, law, seeded, stacks
from engine.case import MODES, everything, make_case, outputs, window_of
from hypothesis import given
from hypothesis import strategies as st
from single_edges import single_edge_placements

from ablate.cells import CELLS, GRU, RNN, RNN_RELU
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Path
from ablate.placement import Placement
from ablate.testing import assert_close
from ablate.testing.paths import MODE, SIZES, assert_paths_equal

PATHS = [pytest.param(path, id=path.value) for path in Path]
CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items()]
OTHERS = (GRU, RNN, RNN_RELU)


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize(("steps", "dtype"), SIZES)
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_every_edge_alone(edge, steps, dtype, mode):
    """Two layers with one edge dropped, at every fill, scale, noise and a grid of sharings.

    In both modes all of them at seven steps in float64, and each at one of the other sizes.
    """
    case = make_case(steps=steps, dtype=dtype)
    window = window_of(case, mode=mode)
    placements = [placement for placement in single_edge_placements() if edge in placement]
    assert len(placements) >= 12
    whole, *others = (size.values for size in SIZES)
    if (steps, dtype) != whole:
        random.Random(1409).shuffle(placements)
        place = others.index((steps, dtype)) + MODES.index(mode)
        placements = placements[place % len(others) :: len(others)]
    for placement in placements:
        assert_paths_equal(case, placement, window)


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize(("steps", "dtype"), SIZES)
@pytest.mark.parametrize("cell", [GRU, RNN], ids=lambda cell: cell.name)
def test_every_edge_of_another_cell_alone(cell, steps, dtype, mode):
    """As above; of what the LSTM takes at each size and in each mode half is dealt out here."""
    deals = [(*size.values, each) for size in SIZES for each in MODES]
    place = deals.index((steps, dtype, mode))
    placements = single_edge_placements(cell=cell)
    random.Random(1409).shuffle(placements)
    case = make_case(steps=steps, dtype=dtype, cell=cell)
    for edge in cell.has:
        own = [each for each in placements if edge in each][place :: 2 * len(deals)]
        assert own
        for placement in own:
            assert_paths_equal(case, placement, window_of(case, mode=mode))


@pytest.mark.parametrize(("steps", "dtype"), SIZES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("cell", CELL)
def test_a_silent_placement(cell, steps, dtype, bias):
    """Without dropout all three paths are the same net, with biases and without."""
    case = make_case(steps=steps, dtype=dtype, bias=bias, cell=cell)
    window = window_of(case)
    expected = everything(case, Placement(), window, Path.REFERENCE)
    for path in (Path.LOOPED, Path.LIBRARY):
        assert_close(everything(case, Placement(), window, path), expected, path.value)


@st.composite
def _windows(draw, most=4):
    """Where a call stands: any seed, update and stack, in the middle of a sequence and a batch."""
    start = draw(st.integers(0, most))
    return {
        "mode": draw(st.sampled_from(MODES)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        "update": draw(st.integers(0, 2**32 - 1)),
        "stack": draw(st.integers(0, 255)),
        "start": start,
        "batch_offset": 2 * start,
    }


@given(stacks(), _windows(), st.sampled_from((7, 1, 2)), st.booleans())
@law
def test_drawn_placements(drawn: Drawn, window, steps, bias):
    """Any edges together, any rates by layer, one to three layers, with biases and without."""
    case = make_case(drawn.layers, steps=steps, bias=bias)
    assert_paths_equal(case, drawn.placement, window_of(case, **window))


@given(stacks(), _windows(), st.sampled_from((7, 1)))
@law
def test_drawn_placements_in_single_precision(drawn: Drawn, window, steps):
    """As above in float32."""
    case = make_case(drawn.layers, steps=steps, dtype=torch.float32)
    assert_paths_equal(case, drawn.placement, window_of(case, **window))


@given(stacks(cells=OTHERS), _windows(), st.sampled_from((7, 1, 2)), st.booleans())
@law
def test_drawn_placements_of_other_cells(drawn: Drawn, window, steps, bias):
    """As above with the edges and fills of a GRU and of plain recurrent nets."""
    case = make_case(drawn.layers, steps=steps, bias=bias, cell=drawn.cell)
    assert_paths_equal(case, drawn.placement, window_of(case, **window))


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
    assert_paths_equal(case, placement, window_of(case, mode=mode))


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("cell", CELL)
def test_both_states_held(cell, mode):
    """HOLD on HIDDEN and on RECURRENT together: each holds the state handed on, s_{t-1}."""
    placement = Placement(
        {Edge.HIDDEN: Drop(0.4, fill=Fill.HOLD), Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)}
    )
    case = make_case(cell=cell)
    assert_paths_equal(case, placement, window_of(case, mode=mode))


@pytest.mark.parametrize("path", [Path.LOOPED, Path.LIBRARY], ids=lambda path: path.value)
@pytest.mark.parametrize("used", ["y", "s_T", "c_T"])
def test_one_output_alone_has_its_gradient(path, used):
    """A loss of the sequence, or of one final state, leaves the other outputs without gradient."""
    case = make_case()

    def gradients(path):
        made, leaves = outputs(case, Placement(), window_of(case), path), case.leaves()
        loss = (made[used] * case.cotangent(used)).sum()
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    assert_close(gradients(path), gradients(Path.REFERENCE), f"{path.value} of {used}")


@pytest.mark.parametrize("path", PATHS)
def test_a_path_leaves_its_inputs_alone(path):
    """Inputs, states and weights are not written to, forward or backward, masked ones included."""
    case = make_case()
    before = {name: leaf.detach().clone() for name, leaf in case.leaves().items()}
    folded = Drop(0.3, Sharing(time=ALL, batch=ALL, gate=1))
    placement = Placement({Edge.INPUT | Edge.RECURRENT: folded, Edge.WEIGHT: Drop(0.3)})
    if path is not Path.LIBRARY:
        placement |= Placement({Edge.HIDDEN | Edge.CELL: Drop(0.3)})
    everything(case, placement, window_of(case), path)
    for name, leaf in case.leaves().items():
        assert torch.equal(leaf, before[name]), name


def _slope(case, directions, placement, window):
    """The derivative of the cotangents' sum as each leaf goes along its direction, by differences.

    Of the fourth order (Richardson's, from two steps): a Gaussian factor of 30 bends the curve so
    much that plain central differences are off by a millionth.
    """
    leaves = case.leaves()
    here = {name: leaves[name].detach().clone() for name in directions}

    def central(size):
        ends = []
        for step in (size, -size):
            for name, direction in directions.items():
                leaves[name].copy_(here[name] + step * direction)
            made = outputs(case, placement, window, Path.REFERENCE)
            ends.append(sum((case.cotangent(name) * v).sum() for name, v in made.items()))
        return (ends[0] - ends[1]) / (2.0 * size)

    with torch.no_grad():
        slope = (4.0 * central(0.5e-5) - central(1e-5)) / 3.0
        for name, value in here.items():
            leaves[name].copy_(value)
    return slope.item()


def _assert_gradients_are_slopes(case, placement, window):
    """Along a direction of all leaves at once; where that fails, of each leaf by its name."""
    made = everything(case, placement, window, Path.REFERENCE)
    generator = torch.Generator().manual_seed(1)
    directions = {
        name: torch.randn(leaf.shape, generator=generator, dtype=leaf.dtype)
        for name, leaf in case.leaves().items()
    }
    found = {name: (made[f"d {name}"] * way).sum().item() for name, way in directions.items()}
    slope = _slope(case, directions, placement, window)
    if sum(found.values()) == pytest.approx(slope, rel=1e-6, abs=1e-6):
        return
    for name, way in directions.items():
        slope = _slope(case, {name: way}, placement, window)
        assert found[name] == pytest.approx(slope, rel=1e-6, abs=1e-6), f"{name}: {placement.text}"
    raise AssertionError(f"no gradient alone is off, their sum is: {placement.text}")


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_gradients_are_derivatives(edge, mode):
    """The specification's gradients are the slopes of its values: no mistake is shared by all."""
    case = make_case(2 if edge is Edge.INTERLAYER else 1, steps=2)
    for placement in single_edge_placements():
        if edge not in placement:
            continue
        sharing = placement[edge].sharing
        # Bursts of three in two steps are one decision, and pairs of units change no equation.
        if sharing.time != 3 and sharing.unit != 2:
            _assert_gradients_are_slopes(case, placement, window_of(case, mode=mode))


@given(stacks(), _windows())
@law
def test_gradients_of_drawn_placements_are_derivatives(drawn: Drawn, window):
    """As above with any edges together."""
    case = make_case(drawn.layers, steps=2)
    _assert_gradients_are_slopes(case, drawn.placement, window_of(case, **window))


@given(stacks(most=2, cells=(GRU, RNN)), _windows())
@law
def test_gradients_of_drawn_placements_of_other_cells_are_derivatives(drawn: Drawn, window):
    """As above; a rectifier's values have corners."""
    case = make_case(drawn.layers, steps=2, cell=drawn.cell)
    _assert_gradients_are_slopes(case, drawn.placement, window_of(case, **window))
