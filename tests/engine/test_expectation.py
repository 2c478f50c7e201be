"""Law 5: the deterministic evaluation is the average over 4,096 masks, where we say so.

Checked on the real engine, made linear by its parameters: gates get no weights, so that they are
constants of their biases, and all values are so small that tanh is the identity to float64's
precision. A GRU is linear likewise, its r and z constants, and a plain net has no gates; of a
rectified one, which differs from it in tanh alone, nothing is repeated here. Where every decision
is fresh at each step, where an edge lies outside the recurrence, and for ZERO on CELL however long
a decision lasts, evaluation then equals the average over masks, within one window from a given
state. Elsewhere it is the usual approximation; nothing is claimed.
"""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from drawing import EDGES
from engine.case import forward
from single_edges import single_edge_placements

from ablate.cells import GRU, LSTM, RNN, Cell
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import run_cohort
from ablate.engine.masks.net import NetMasks
from ablate.engine.plan import Mode
from ablate.engine.window import MaskSpec, Window
from ablate.placement import Placement

P = 0.3
MASKS = 4096
STEPS, INPUTS, HIDDEN = 4, 3, 5
TINY = 1e-6  # tanh(x) = x to a relative x**2 / 3, far below float64's sum of a window
ERRORS = 5.0  # standard errors; the draws are seeded, so that this is no chance of failure in CI
EXACT = 1e-9


class Net(NamedTuple):
    """A cell with weights, input [T, 1, D], words [T, 1] and a state of parts [L, 1, H]."""

    cell: Cell
    weights: list[LayerWeights]
    x_TBD: torch.Tensor
    tokens_TB: torch.Tensor
    state: tuple[torch.Tensor, ...]


# What is written into the memory, behind a tanh; the other gates multiply.
WRITES = {LSTM: "g", GRU: "n", RNN: "n"}


def _linear(steps, *, layers=1, recurrent=True, cell=LSTM):
    """A linear network: only what is written reads anything, so that gates are constants.

    `recurrent=False` leaves W_hh out.
    """
    count = len(cell.gates)
    generator = torch.Generator().manual_seed(5)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    def layer(inputs):
        writes = [float(gate == WRITES[cell]) for gate in cell.gates]
        only = torch.tensor(writes, dtype=torch.float64).repeat_interleave(HIDDEN)
        w_hh = normal(count * HIDDEN, HIDDEN) * only[:, None] * (0.7 if recurrent else 0.0)
        bias = normal(count * HIDDEN) * torch.where(only == 1.0, TINY, 1.0)
        return LayerWeights(
            normal(count * HIDDEN, inputs) * only[:, None], w_hh, bias, torch.zeros_like(bias)
        )

    weights = [layer(HIDDEN if number else INPUTS) for number in range(layers)]
    tokens = torch.tensor([[2], [0], [2], [1], [0], [0], [1]])[:steps]
    table = normal(3, INPUTS) * TINY
    state = tuple(normal(layers, 1, HIDDEN) * TINY for _ in cell.state)
    return Net(cell, weights, table[tokens], tokens, state)


def _made(net, placement, window):
    return forward(
        net.x_TBD,
        net.state,
        net.weights,
        placement,
        window,
        tokens_TB=net.tokens_TB,
        cell=net.cell,
    )


def _evaluated(net, placement):
    time = len(net.x_TBD)
    window = Window(seed=0, update=0, time=time, batch=1, mode=Mode.MEAN, dtype=torch.float64)
    made = _made(net, placement, window)
    return made.y_TBX[:, 0], *(part[:, 0] for part in made.state)


def _sampled_in_rows(net, placement, rows_a_mask):
    """4,096 masks as rows of one batch, `rows_a_mask` rows to each."""
    batch = MASKS * rows_a_mask
    window = Window(seed=6, update=7, time=len(net.x_TBD), batch=batch, dtype=torch.float64)
    rows = net._replace(
        x_TBD=net.x_TBD.expand(-1, batch, -1),
        tokens_TB=net.tokens_TB.expand(-1, batch),
        state=tuple(part.expand(-1, batch, -1) for part in net.state),
    )
    made = _made(rows, placement, window)
    return tuple(part[:, ::rows_a_mask] for part in (made.y_TBX, *made.state))


def _sampled_in_updates(net, placement):
    """4,096 masks as so many updates, where a mask reaches over the whole batch: one cohort."""
    window = Window(seed=6, update=0, time=len(net.x_TBD), batch=1, dtype=torch.float64)
    trials = [MaskSpec(placement, replace(window, update=update)) for update in range(MASKS)]
    masks = NetMasks.of(
        trials, inputs=INPUTS, hidden=HIDDEN, layers=len(net.weights), cell=net.cell
    )

    def each(value):
        return value.expand(MASKS, *value.shape)

    x_KTBD = masks.drop_words(each(net.x_TBD), net.tokens_TB)
    weights = [LayerWeights(*map(each, own)) for own in net.weights]
    state = tuple(part.unsqueeze(1).expand(-1, MASKS, -1, -1) for part in net.state)
    made = run_cohort(x_KTBD, state, weights, masks, cell=net.cell)
    return made.y_KTBH.squeeze(2).transpose(0, 1), *(part.squeeze(2) for part in made.state)


def _assert_mean(net, placement, *, in_updates=False, rows_a_mask=1):
    """Compare outputs and states of the evaluation with the average over masks."""
    with torch.no_grad():
        expected = _evaluated(net, placement)
        sampled = (
            _sampled_in_updates(net, placement)
            if in_updates
            else _sampled_in_rows(net, placement, rows_a_mask)
        )
    names = ["y", "s_T", *(f"{part}_T" for part in net.cell.state[1:])]
    drop = placement.get(Edge.CELL)
    if drop is not None and drop.fill is Fill.ZERO and drop.sharing.time != 1:
        # The carried cell waits for its read, or for the next decision, to be scaled.
        expected = (*expected[:2], (1.0 - drop.rate) * expected[2])
    spread = 0.0
    for name, mean, values in zip(names, expected, sampled, strict=True):
        assert values.shape[1] == MASKS
        error = values.std(dim=1) / MASKS**0.5
        off = (values.mean(dim=1) - mean).abs()
        assert (off <= ERRORS * error + EXACT * mean.abs().max()).all(), (
            f"{name} of {placement.text}: {(off / error).nan_to_num().max():.1f} standard errors"
        )
        spread = max(spread, error.max().item())
    assert spread > 0.0, f"nothing was sampled: {placement.text}"


ACTIVATIONS = [pytest.param(edge, id=edge.label) for edge in EDGES if edge is not Edge.WEIGHT]


def _layers(edge):
    return 2 if edge is Edge.INTERLAYER else 1


def _rows_a_mask(drop):
    batch = drop.sharing.batch
    return batch if isinstance(batch, int) else 1


def _is_exact(edge, drop):
    """Whether the design claims more than an approximation over several steps."""
    if drop.fill is Fill.ZERO and edge in Edge.EMBEDDING | Edge.VERTICAL | Edge.CELL:
        return True
    return drop.sharing.time == 1


def _by_rows(edge, cell=LSTM):
    """Placements of one edge whose masks can be the rows of a batch: batch 1, and pairs of rows."""
    found = []
    for placement in single_edge_placements(P, cell):
        if edge not in placement:
            continue
        drop = placement[edge]
        if drop.sharing.batch is not ALL:
            found.append(placement)
            if drop.sharing.unit == 1 and drop.sharing.time == 1:
                paired = replace(drop, sharing=replace(drop.sharing, batch=2))
                found.append(Placement({edge: paired}))
    return found


@pytest.mark.parametrize("edge", ACTIVATIONS)
def test_the_evaluation_is_the_mean_over_masks(edge):
    """Over several steps, where the design says exact: every fill, scale, noise and sharing."""
    # Along the cell a decision meets itself and m m = m; through W_hh it would meet itself in other
    # units' company, so that a long decision on CELL is exact where W_hh is silent.
    for placement in _by_rows(edge):
        drop = placement[edge]
        if _is_exact(edge, drop):
            recurrent = edge is not Edge.CELL or drop.sharing.time == 1
            net = _linear(STEPS, layers=_layers(edge), recurrent=recurrent)
            _assert_mean(net, placement, rows_a_mask=_rows_a_mask(drop))


@pytest.mark.parametrize("edge", ACTIVATIONS)
def test_the_evaluation_of_one_step_is_the_mean_over_masks(edge):
    """A window of one step decides once, so that every placement of an edge is exact there."""
    for placement in _by_rows(edge):
        net = _linear(1, layers=_layers(edge))
        _assert_mean(net, placement, rows_a_mask=_rows_a_mask(placement[edge]))


@pytest.mark.parametrize("steps", [STEPS, 1], ids=["steps", "step"])
@pytest.mark.parametrize("cell", [GRU, RNN], ids=lambda cell: cell.name)
def test_the_evaluation_of_another_cell_is_the_mean_over_masks(cell, steps):
    """Both of the above, at every edge, fill, scale and noise of a GRU and of a plain net.

    Of a GRU: what travels upward however it is shared; RECURRENT, UPDATE and HIDDEN's hold, which
    its update gate, here a constant, mixes into h, where each step decides anew.
    """
    for edge in cell.has & ~Edge.WEIGHT:
        net = _linear(steps, layers=_layers(edge), cell=cell)
        for placement in _by_rows(edge, cell):
            drop = placement[edge]
            alone = drop.sharing.unit == 1 and drop.sharing.batch == 1
            if alone and (steps == 1 or _is_exact(edge, drop)):
                _assert_mean(net, placement)


IN_UPDATES = [
    pytest.param(
        Placement({Edge.EMBEDDING: Drop(P, Sharing(batch=ALL), scale=Scale.TEST)}),
        3,
        id="EMBEDDING",
    ),
    pytest.param(
        Placement({Edge.INPUT: Drop(P, Sharing(time=ALL, batch=ALL, gate=1), scale=Scale.TEST)}),
        3,
        id="INPUT-folded",
    ),
    pytest.param(
        Placement({Edge.CELL: Drop(P, Sharing(time=ALL, batch=ALL))}), 3, id="CELL-window"
    ),
    pytest.param(Placement({Edge.WEIGHT: Drop(P, scale=Scale.TEST)}), 1, id="WEIGHT-one-step"),
]


@pytest.mark.parametrize(("placement", "steps"), IN_UPDATES)
def test_the_evaluation_is_the_mean_over_updates(placement, steps):
    """As above for masks that the whole batch shares: as many updates as masks."""
    net = _linear(steps, recurrent=Edge.CELL not in placement)
    _assert_mean(net, placement, in_updates=True)


@pytest.mark.parametrize("cell", WRITES, ids=lambda cell: cell.name)
def test_fresh_decisions_at_all_edges_are_exact_together(cell):
    """Independent decisions multiply, so that their means do."""
    fresh = Sharing(time=1)
    placement = Placement(
        {
            Edge.EMBEDDING: Drop(0.2),
            Edge.VERTICAL: Drop(0.2, fresh, scale=Scale.TEST),
            Edge.RECURRENT: Drop(0.2, Sharing(gate=1), scale=Scale.TEST),
            Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD),
            Edge.UPDATE: Drop(0.2),
            Edge.CELL: Drop(0.2),
            Edge.CARRY: Drop(0.2, fill=Fill.HOLD),
        }
    )
    _assert_mean(_linear(STEPS, layers=2, cell=cell), placement & cell.has)
