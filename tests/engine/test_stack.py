"""Whole stacks: what is returned, what is handed on, and windows cut into pieces."""

from dataclasses import replace

import pytest
import torch
from drawing import EDGES, Drawn, law, stacks
from engine.case import MODES, H, T, forward, make_case, outputs, window_of
from hypothesis import given
from hypothesis import strategies as st
from single_edges import single_edge_placements

from ablate.cells import GRU, LSTM, RNN, RNN_RELU
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.masks.net import mask
from ablate.engine.plan import Mode, Path
from ablate.placement import Placement
from ablate.testing import assert_close

MODE = [pytest.param(mode, id=mode.value) for mode in MODES]
PATHS = [pytest.param(path, id=path.value) for path in (Path.REFERENCE, Path.LOOPED)]


def _by_steps(case, placement, window, path=Path.LOOPED):
    """The same window as a loop of one-step calls with `start`, by name."""
    state, steps = case.state, []
    for t in range(window.time):
        step = replace(window, time=1, start=window.start + t)
        made = forward(
            case.x_TBD[t : t + 1],
            state,
            case.weights,
            placement,
            step,
            path,
            tokens_TB=case.tokens_TB[t : t + 1],
            cell=case.cell,
        )
        state = made.state
        steps.append(made.y_TBX)
    return {"y": torch.cat(steps)} | {f"{k}_T": part for k, part in case.named(state).items()}


def _by_rows(case, placement, window, cut=1):
    """The same window as two calls, each on a part of the batch, by name."""
    parts = []
    for rows in (slice(0, cut), slice(cut, window.batch)):
        part = replace(
            window,
            batch=len(range(window.batch)[rows]),
            batch_offset=window.batch_offset + rows.start,
        )
        state = tuple(value[:, rows] for value in case.state)
        tokens = case.tokens_TB[:, rows]
        part_of = replace(case, x_TBD=case.x_TBD[:, rows], tokens_TB=tokens, state=state)
        parts.append(outputs(part_of, placement, part, Path.LOOPED))
    return {name: torch.cat([part[name] for part in parts], dim=1) for name in parts[0]}


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("edge", [pytest.param(edge, id=edge.label) for edge in EDGES])
def test_one_step_calls_are_one_long_call(edge, mode):
    """A loop of one-step calls of one update equals the long call: outputs and states."""
    case = make_case()
    with torch.no_grad():
        for placement in [p for p in single_edge_placements() if edge in p]:
            window = window_of(case, mode=mode, start=2)
            whole = outputs(case, placement, window, Path.LOOPED)
            assert_close(_by_steps(case, placement, window), whole, placement.text)


@pytest.mark.parametrize("mode", MODE)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("time", [1, 3, ALL], ids=["step", "bursts", "window"])
@pytest.mark.parametrize("cell", [LSTM, GRU, RNN], ids=lambda cell: cell.name)
def test_two_held_states_are_one_long_call(cell, time, path, mode):
    """HOLD on HIDDEN and on RECURRENT together both hold s_{t-1}, which is what a call carries."""
    sharing = Sharing(time=time)
    placement = Placement(
        {
            Edge.HIDDEN: Drop(0.5, sharing, fill=Fill.HOLD),
            Edge.RECURRENT: Drop(0.4, sharing, fill=Fill.HOLD),
        }
    )
    case = make_case(cell=cell)
    window = window_of(case, mode=mode)
    with torch.no_grad():
        whole = outputs(case, placement, window, path)
        assert_close(_by_steps(case, placement, window, path), whole)
    assert not torch.equal(whole["y"][-1], whole["s_T"][-1])


@given(stacks(), st.sampled_from(MODES), st.integers(0, 4))
@law
def test_a_drawn_placement_may_be_cut_anywhere(drawn: Drawn, mode, start):
    """Into steps, or into parts of the batch, with any edges together."""
    case = make_case(drawn.layers)
    window = window_of(case, mode=mode, start=start, batch_offset=start)
    with torch.no_grad():
        whole = outputs(case, drawn.placement, window, Path.LOOPED)
        assert_close(_by_steps(case, drawn.placement, window), whole, drawn.placement.text)
        assert_close(_by_rows(case, drawn.placement, window), whole, drawn.placement.text)


@given(stacks(most=2, cells=(GRU, RNN, RNN_RELU)), st.sampled_from(MODES), st.integers(0, 4))
@law
def test_a_drawn_placement_of_another_cell_may_be_cut_anywhere(drawn: Drawn, mode, start):
    """As above with the edges of a GRU and of plain recurrent nets."""
    case = make_case(drawn.layers, cell=drawn.cell)
    window = window_of(case, mode=mode, start=start, batch_offset=start)
    with torch.no_grad():
        whole = outputs(case, drawn.placement, window, Path.LOOPED)
        assert_close(_by_steps(case, drawn.placement, window), whole, drawn.placement.text)
        assert_close(_by_rows(case, drawn.placement, window), whole, drawn.placement.text)


@pytest.mark.parametrize("layers", [1, 3])
def test_output_drops_the_sequence_and_not_the_state(layers):
    """OUTPUT's mask is drawn at the top layer; states are those of the silent placement."""
    case = make_case(layers)
    window = window_of(case)
    drop = Drop(0.5, scale=Scale.TEST)
    placement = Placement({Edge.OUTPUT: drop})
    silent = outputs(case, Placement(), window, Path.LOOPED)
    dropped = outputs(case, placement, window, Path.LOOPED)
    factor = mask(placement[Edge.OUTPUT], Edge.OUTPUT, layers - 1, H, window)
    assert torch.equal(dropped["y"], silent["y"] * factor[:, :, 0])
    assert torch.equal(dropped["s_T"], silent["s_T"])
    assert torch.equal(dropped["c_T"], silent["c_T"])


def test_interlayer_drops_what_the_layer_above_reads():
    """The lower layer's state is whole: its own next step does not see INTERLAYER."""
    case = make_case(2)
    window = window_of(case)
    silent = outputs(case, Placement(), window, Path.LOOPED)
    dropped = outputs(case, Placement({Edge.INTERLAYER: Drop(0.5)}), window, Path.LOOPED)
    assert torch.equal(dropped["s_T"][0], silent["s_T"][0])
    assert not torch.equal(dropped["s_T"][1], silent["s_T"][1])


@pytest.mark.parametrize("path", PATHS)
def test_a_dropped_recurrence_hands_back_a_whole_state(path):
    """ZERO on RECURRENT acts when the gates read: the state handed on equals the last output."""
    case = make_case(1)
    made = outputs(case, Placement({Edge.RECURRENT: Drop(0.5)}), window_of(case), path)
    assert torch.equal(made["y"][-1], made["s_T"][0])


@pytest.mark.parametrize("path", PATHS)
def test_a_held_recurrence_hands_back_the_held_state(path):
    """HOLD on RECURRENT acts when the state is written, which then differs from the output."""
    case = make_case(1, steps=1)
    window = window_of(case)
    placement = Placement({Edge.RECURRENT: Drop(0.5, fill=Fill.HOLD)})
    made = outputs(case, placement, window, path)
    silent = outputs(case, Placement(), window, path)
    new = mask(placement[Edge.RECURRENT], Edge.RECURRENT, 0, H, window)[0, :, 0]
    assert torch.equal(made["y"], silent["y"])
    assert 0 < new.sum() < new.numel()
    expected = torch.where(new.bool(), silent["y"][0], case.state[0][0])
    # old + 1 (new - old) is new up to one rounding.
    assert_close({"s": made["s_T"][0]}, {"s": expected})


def test_held_values_stop_at_the_window():
    """At a window's first step HOLD holds the carried state, and its gradient reaches it."""
    case = make_case(1, steps=1)
    window = window_of(case)
    drop = Drop(0.5, fill=Fill.HOLD)
    made = outputs(case, Placement({Edge.CARRY: drop}), window, Path.LOOPED)
    held = mask(Placement({Edge.CARRY: drop})[Edge.CARRY], Edge.CARRY, 0, H, window)[0, :, 0] == 0.0
    (gradient,) = torch.autograd.grad(made["c_T"].sum(), case.state[1])
    assert torch.equal(made["c_T"][0][held], case.state[1][0][held])
    assert torch.equal(gradient[0][held], torch.ones_like(gradient[0][held]))


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"update": 4}, {"stack": 1}, {"start": 1}, {"batch_offset": 1}],
    ids=lambda changed: next(iter(changed)),
)
def test_every_coordinate_of_a_window_changes_its_masks(changed):
    """Another seed, update, stack, start or row samples anew."""
    case = make_case(1)
    placement = Placement({Edge.INPUT: Drop(0.5)})
    here = outputs(case, placement, window_of(case), Path.LOOPED)
    there = outputs(case, placement, window_of(case, **changed), Path.LOOPED)
    assert not torch.equal(here["y"], there["y"])


def test_one_update_samples_once():
    """The same window again gives the same bits, and layers do not share their masks."""
    case = make_case(2)
    placement = Placement({Edge.HIDDEN: Drop(0.5)})
    one, two = (outputs(case, placement, window_of(case), Path.LOOPED) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    masks = [
        mask(placement[Edge.HIDDEN], Edge.HIDDEN, layer, H, window_of(case)) for layer in range(2)
    ]
    assert masks[0].shape == (T, 3, 1, H)
    assert not torch.equal(masks[0], masks[1])


@pytest.mark.parametrize("path", [*PATHS, pytest.param(Path.LIBRARY, id="fused")])
def test_evaluation_without_gradients_equals_evaluation_with(path):
    """`no_grad` changes no bit of an output."""
    case = make_case(2)
    window = window_of(case, mode=Mode.MEAN)
    placement = Placement({Edge.VERTICAL: Drop(0.5, scale=Scale.TEST)})
    with torch.no_grad():
        off = outputs(case, placement, window, path)
    on = outputs(case, placement, window, path)
    assert all(torch.equal(on[name], off[name]) for name in on)


@pytest.mark.parametrize("path", PATHS)
def test_a_gru_reads_a_dropped_state_and_carries_the_whole(path):
    """RECURRENT drops what the gates' products read; with z open the old h goes on untouched."""
    case = make_case(1, cell=GRU)
    weights = case.weights[0]
    open_z = torch.zeros(3, H, dtype=torch.float64)
    open_z[1] = 1e3
    case = replace(case, weights=(weights._replace(b_ih=open_z.flatten().requires_grad_()),))
    made = outputs(case, Placement({Edge.RECURRENT: Drop(0.5)}), window_of(case), path)
    assert torch.equal(made["s_T"], case.state[0])


def test_a_grus_hold_keeps_its_size_over_many_steps(refused):
    """Its h is its memory: held it stays within tanh's, while ZERO is refused by the cell."""
    case = make_case(1, steps=70, cell=GRU)
    held = Placement({Edge.HIDDEN: Drop(0.5, fill=Fill.HOLD)})
    start = max(1.0, case.state[0].abs().max().item())
    made = outputs(case, held, window_of(case), Path.LOOPED)
    assert made["y"].abs().max() <= start
    with refused():
        Placement({Edge.HIDDEN: Drop(0.5)}).check(1, GRU)
