"""Two directions, and rows that end at different steps, for every cell.

Shapes: T time, B batch, D input, H hidden, L layers.
"""

from dataclasses import replace

import pytest
import torch
from drawing import law
from drawing import placements as drawn_placements
from engine.case import B, D, H, T, everything, layer_factors, make_case, outputs, window_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ablate.cells import CELLS, GRU, LSTM, RNN, RNN_RELU
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.layers.reference import reference_layer
from ablate.engine.layers.stack import StackOutput, run_stack
from ablate.engine.masks.net import mask
from ablate.engine.plan import Mode, Path
from ablate.placement import Placement
from ablate.testing import assert_close

CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items()]
# Of a rectified net all but its step is the plain one's.
UNLIKE = CELL[:-1]
MODE = [pytest.param(mode, id=mode.value) for mode in Mode]

# One row is whole, one is short, one has ended before it began.
LENGTHS = torch.tensor([T, 3, 0])

_HELD = Drop(0.4, fill=Fill.HOLD)


def _placements(cell):
    """Forward something in every place that the cell has, backward something else."""
    forward = {
        Edge.EMBEDDING: Drop(0.2),
        Edge.INPUT: Drop(0.3, Sharing(gate=1)),
        Edge.INTERLAYER: Drop(0.4),
        Edge.OUTPUT: Drop(0.5),
        Edge.WEIGHT: Drop(0.2),
        Edge.RECURRENT: Drop(0.3, Sharing(gate=1, time=3)),
        Edge.HIDDEN: _HELD,
        Edge.UPDATE: Drop(0.3),
        Edge.CELL: Drop(0.2, Sharing(time=3)),
        Edge.CARRY: _HELD,
    }
    backward = {
        Edge.VERTICAL: Drop(0.3, Sharing(time=3)),
        Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD),
    }
    own = Placement({edge: drop for edge, drop in forward.items() if edge in cell.has})
    return own, Placement(backward)


OUTSIDE = (
    Placement({Edge.VERTICAL: Drop(0.3), Edge.WEIGHT: Drop(0.3)}),
    Placement({Edge.VERTICAL: Drop(0.3, Sharing(time=ALL)), Edge.EMBEDDING: Drop(0.2)}),
)


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("cell", CELL)
def test_every_path_is_the_specification(cell, lengths, mode):
    """Law 1 for two directions of two layers: outputs, states, all gradients, by name."""
    case = make_case(directions=2, cell=cell)
    window = window_of(case, mode=mode, start=2, batch_offset=5)
    for each, paths in (
        (_placements(cell), (Path.LOOPED,)),
        (OUTSIDE, (Path.LOOPED, Path.LIBRARY)),
        (_placements(cell)[0], (Path.LOOPED,)),
    ):
        own = case if isinstance(each, tuple) else make_case(cell=cell)
        expected = everything(own, each, window, Path.REFERENCE, lengths)
        for path in paths:
            found = everything(own, each, window, path, lengths)
            assert_close(found, expected, path.value)


def _module(cell, layers, **given):
    kinds = {LSTM: nn.LSTM, GRU: nn.GRU, RNN: nn.RNN, RNN_RELU: nn.RNN}
    if cell is RNN_RELU:
        given["nonlinearity"] = "relu"
    return kinds[cell](D, H, layers, dtype=torch.float64, **given)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELL)
def test_silent_it_is_torchs_module(cell, directions):
    """Two directions and packed rows, as torch gives them, with every gradient."""
    torch.manual_seed(0)
    # torch packs no row of length 0.
    lengths, layers = torch.tensor([T, 5, 3]), 2
    theirs = _module(cell, layers, bidirectional=directions == 2)
    case = make_case(layers, cell=cell, directions=directions)
    for (_, parameter), leaf in zip(
        theirs.named_parameters(), [w for own in case.weights for w in own], strict=True
    ):
        parameter.data.copy_(leaf.data)
    x, state = case.x_TBD.detach().clone().requires_grad_(), case.state
    packed = pack_padded_sequence(x, lengths)
    start = [part.detach().clone().requires_grad_() for part in state]
    made, last = theirs(packed, tuple(start) if len(start) > 1 else start[0])
    y, _ = pad_packed_sequence(made, total_length=T)
    named = {"y": y} | {
        f"{name}_T": part for name, part in case.named(last if len(start) > 1 else (last,)).items()
    }
    leaves = [x, *start, *theirs.parameters()]
    gradients = torch.autograd.grad(
        list(named.values()), leaves, [case.cotangent(name) for name in named]
    )
    names = [f"d {name}" for name in case.leaves()]
    expected = named | dict(zip(names, gradients, strict=True))
    silent = (Placement(),) * directions
    silent = silent if directions == 2 else silent[0]
    for path in (Path.REFERENCE, Path.LOOPED):
        assert_close(everything(case, silent, window_of(case), path, lengths), expected, path)


def _row(case, row, length):
    """One row of a case by itself, without what lies after its end."""
    rows, cotangents = slice(row, row + 1), case.cotangents
    return replace(
        case,
        x_TBD=case.x_TBD[:length, rows].detach().requires_grad_(),
        tokens_TB=case.tokens_TB[:length, rows],
        state=tuple(part[:, rows].detach().requires_grad_() for part in case.state),
        cotangents=StackOutput(
            cotangents.y_TBX[:length, rows], tuple(part[:, rows] for part in cotangents.state)
        ),
    )


@pytest.mark.parametrize("path", [Path.REFERENCE, Path.LOOPED], ids=lambda path: path.value)
@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", UNLIKE)
def test_each_row_is_that_row_alone(cell, directions, mode, path):
    """At its own batch coordinate; 0 after its end, its state that after its own last step."""
    case = make_case(directions=directions, cell=cell)
    placements = _placements(cell)
    placements = placements if directions == 2 else placements[0]
    window = window_of(case, mode=mode)
    found = everything(case, placements, window, path, LENGTHS)
    of_weights = {name: torch.zeros_like(w) for name, w in found.items() if "_l" in name}
    for row, length in enumerate(LENGTHS.tolist()):
        rows = slice(row, row + 1)
        assert not found["y"][length:, row].any()
        assert not found["d x"][length:, row].any()
        if not length:
            for name, part in case.named(case.state).items():
                assert torch.equal(found[f"{name}_T"][:, row], part[:, row])
                weights = case.cotangent(f"{name}_T")[:, row]
                assert torch.equal(found[f"d {name}_0"][:, row], weights)
            continue
        at = replace(window, time=length, batch=1, batch_offset=row)
        own = everything(_row(case, row, length), placements, at, path)
        for name, value in own.items():
            if name in of_weights:
                of_weights[name] += value
                continue
            whole = found[name][:length, rows] if name in ("y", "d x") else found[name][:, rows]
            assert_close({name: whole}, {name: value}, f"row {row}")
    assert_close({name: found[name] for name in of_weights}, of_weights)


@pytest.mark.parametrize("path", Path, ids=lambda path: path.value)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", UNLIKE)
def test_padding_is_never_read(cell, directions, path):
    """NaN after a row's end changes no bit of an output, a state or a gradient."""
    case = make_case(directions=directions, cell=cell)
    placements = OUTSIDE if path is Path.LIBRARY else _placements(cell)
    placements = placements if directions == 2 else placements[0]
    window = window_of(case)
    expected = everything(case, placements, window, path, LENGTHS)
    ended_TB = torch.arange(T).unsqueeze(1) >= LENGTHS
    x_TBD = case.x_TBD.detach().masked_fill(ended_TB.unsqueeze(-1), torch.nan).requires_grad_()
    found = everything(replace(case, x_TBD=x_TBD), placements, window, path, LENGTHS)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_lengths_of_whole_rows_change_nothing():
    """Outputs and states of rows that all last the window are those without lengths."""
    for cell in CELLS.values():
        case = make_case(directions=2, cell=cell)
        window, placements = window_of(case), _placements(cell)
        found = outputs(case, placements, window, Path.LOOPED, torch.full((B,), T))
        expected = outputs(case, placements, window, Path.LOOPED)
        assert_close(found, expected, cell.name)


@pytest.mark.parametrize(
    "edge",
    [Edge.INPUT, Edge.WEIGHT, Edge.RECURRENT, Edge.HIDDEN, Edge.UPDATE],
    ids=lambda edge: edge.label,
)
def test_the_masks_of_two_directions_differ(edge):
    """A direction is a coordinate of a mask's address."""
    window = window_of(make_case())
    drop = Placement({edge: Drop(0.5)})[edge]
    one, two = (
        mask(drop, edge, 0, H, replace(window, direction=direction)) for direction in (0, 1)
    )
    assert one.shape == two.shape
    assert not torch.equal(one, two)


def test_directions_that_share_read_the_input_through_one_mask():
    """Masked by hand with forward's own, at each place of the text; rows that end included."""
    case = make_case(1, directions=2)
    window = window_of(case)
    drop = Drop(0.5, Sharing(direction=ALL))
    for lengths in (None, LENGTHS):
        found = outputs(case, (Placement({Edge.INPUT: drop}),) * 2, window, Path.LOOPED, lengths)
        kept = mask(Placement({Edge.INPUT: drop})[Edge.INPUT], Edge.INPUT, 0, D, window)[:, :, 0]
        dropped = replace(case, x_TBD=case.x_TBD * kept)
        expected = outputs(dropped, (Placement(),) * 2, window, Path.LOOPED, lengths)
        assert_close(found, expected, lengths)


def test_directions_that_share_inside_the_loop_count_their_own_steps():
    """Step by step forward and backward take one decision, each in its own order."""
    case = make_case(1, directions=2)
    drop = Drop(0.5, Sharing(direction=ALL))
    placement = Placement({Edge.HIDDEN: drop})
    factors = [
        layer_factors(placement, 0, window_of(case, direction=direction)) for direction in (0, 1)
    ]
    (one,), (two,) = (own.values() for own in factors)
    assert torch.equal(one, two)


@pytest.mark.parametrize("cell", CELL)
def test_backward_is_a_layer_that_reads_the_steps_turned_around(cell):
    """Its own masks, counted by the steps that it has read, and its output turned back."""
    case = make_case(1, directions=2, cell=cell)
    forward = _placements(cell)[0] - (Edge.OUTPUT | Edge.EMBEDDING)
    made = outputs(case, (Placement(), forward), window_of(case), Path.LOOPED)
    factors = layer_factors(forward, 0, window_of(case, direction=1), cell=cell)
    given = (case.x_TBD.flip(0), tuple(part[1] for part in case.state), case.weights[1], factors)
    own = reference_layer(*given, cell=cell)
    expected = {"y": own.y_TBH.flip(0)} | {
        f"{name}_T": part for name, part in case.named(own.state).items()
    }
    found = {name: value[1] for name, value in made.items()} | {"y": made["y"][:, :, H:]}
    assert_close(found, expected)


def test_hooks_are_told_the_direction():
    """Each direction's steps are counted from 0, in its own order."""
    case, told = make_case(1, directions=2), []

    def hook(value, *, layer, step, direction):
        told.append((layer, step, direction))
        return value

    placements = (Placement(), Placement())
    run_stack(
        case.x_TBD, case.state, case.weights, placements, window_of(case), hooks={Edge.HIDDEN: hook}
    )
    assert told == [(0, step, direction) for direction in (0, 1) for step in range(T)]


@given(
    st.sampled_from(list(CELLS.values())).flatmap(
        lambda cell: st.tuples(
            st.just(cell), drawn_placements(2, cell=cell), drawn_placements(2, cell=cell)
        )
    ),
    st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B),
    st.sampled_from(list(Mode)),
)
@law
def test_drawn_placements_of_two_directions(drawn, lengths, mode):
    """Law 1: any edges in either direction, sharing between them included, rows of any length."""
    cell, *both = drawn
    case = make_case(directions=2, cell=cell)
    window = window_of(case, mode=mode, start=2, batch_offset=1)
    ends = None if lengths is None else torch.tensor(lengths)
    found, expected = (
        everything(case, tuple(both), window, path, ends) for path in (Path.LOOPED, Path.REFERENCE)
    )
    assert_close(found, expected, (lengths, *both))


HOOKED = [
    pytest.param(cell, edge, id=f"{cell.name}-{edge.label}")
    for cell in CELLS.values()
    for edge in cell.has & ~Edge.EMBEDDING
    if Fill.ZERO in cell.rule(edge).fills
]


@pytest.mark.parametrize(("cell", "edge"), HOOKED)
def test_a_hook_that_multiplies_by_the_mask_is_the_drop(cell, edge):
    """At every edge of every cell, each direction with its own mask."""
    case = make_case(2, directions=2, cell=cell)
    window, placement = window_of(case), Placement({edge: Drop(0.4)})
    units = {Edge.INPUT: D, Edge.INTERLAYER: 2 * H}.get(edge, H)

    def drawn(layer, direction):
        at = replace(window, direction=direction)
        return mask(placement[edge], edge, layer, units, at, cell=cell)

    def hook(value, *, layer, step, direction):
        if edge is Edge.OUTPUT:
            both = [drawn(layer, direction)[:, :, 0] for direction in (0, 1)]
            return value * torch.cat(both, dim=-1)
        own = drawn(layer, direction)
        if edge is not Edge.WEIGHT:
            own = own[step] if value.dim() == 3 else own[step, :, 0]
        return value * own

    net = (case.x_TBD, case.state, case.weights)
    silent = (Placement(),) * 2
    found = run_stack(*net, silent, window, hooks={edge: hook}, cell=cell)
    expected = run_stack(*net, (placement,) * 2, window, Path.REFERENCE, cell=cell)
    for value, other in zip((found[0], *found[1]), (expected[0], *expected[1]), strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=1e-12)
