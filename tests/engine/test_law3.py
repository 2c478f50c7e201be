"""Law 3: a trial alone equals the same trial in a cohort, whoever its companions are.

Eager sigmoids treat the end of a row otherwise than its middle, so that sizes here are multiples of
a vector; compiled kernels are held to odd sizes in compiled_cases.py.
"""

import pytest
import torch
from drawing import placements as drawn_placements
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st
from training import cohorts

from ablate.cells import CELLS, GRU, LSTM
from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Path, alike
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import stacked
from ablate.noise import GAUSSIAN
from ablate.placement import Placement
from ablate.testing.close import assert_same
from ablate.training.evaluation import Evaluation, evaluate
from ablate.training.update import product_copies

NET, V, T, B = Net(layers=2, hidden=16), 31, 5, 4

_WINDOW = Sharing(time=ALL)

# One of each site that a kernel may have, and of each way that a factor may come about.
MIXED = [
    Placement(),
    Placement({Edge.VERTICAL: Drop(0.5), Edge.RECURRENT: Drop(0.25)}),
    Placement({Edge.VERTICAL: Drop(0.3), Edge.RECURRENT: Drop(0.25, _WINDOW)}),
    Placement({Edge.EMBEDDING: Drop(0.2), Edge.WEIGHT: Drop(0.4), Edge.UPDATE: Drop(0.3)}),
    Placement({Edge.HIDDEN: Drop(0.1, fill=Fill.HOLD), Edge.CARRY: Drop(0.3, fill=Fill.HOLD)}),
    Placement({Edge.RECURRENT: Drop(0.2, fill=Fill.HOLD), Edge.CELL: Drop(0.3)}),
    Placement({Edge.CELL: Drop(0.3, Sharing(time=3)), Edge.INPUT: Drop(0.3, noise=GAUSSIAN)}),
    Placement({Edge.RECURRENT: Drop(0.3, Sharing(time=ALL, batch=ALL))}),
]
APART = [
    Placement({edges: Drop(rate, Sharing(time=ALL, gate=1))})
    for edges in (Edge.INPUT | Edge.INTERLAYER | Edge.RECURRENT,)
    for rate in (0.25, 0.5)
]


CELL = [pytest.param(cell, id=name) for name, cell in CELLS.items()]

WINDOWS = cohorts.windows_of(V, T, B)


def _net_of(cell):
    return NET.model_copy(update={"cell": cell.name})


def _given(trials):
    """Where each of so many trials stands: every number is its own, and the clips hold some."""
    return {
        "updates": [3 + k for k in range(trials)],
        "learning_rates": [0.1 * (k + 1) for k in range(trials)],
        "clips": [0.5 * (k + 1) for k in range(trials)],
    }


def _start(plans):
    """Parameters and state: what every trial starts its update from."""
    generator = torch.Generator().manual_seed(5)
    parts = len(plans[0].net.of_cell.state)
    state = torch.randn(parts, NET.layers, len(plans), B, NET.hidden, generator=generator)
    return cohorts.initial(plans, V), tuple(state)


def _pairs(plans, windows=WINDOWS):
    """Each trial after an update in the cohort, and alone."""
    each, state = _start(plans)
    return cohorts.together_and_alone(plans, each, windows, state=state, **_given(len(plans)))


@pytest.mark.parametrize("cell", CELL)
@pytest.mark.parametrize(
    ("placements", "path"),
    [
        pytest.param(MIXED, Path.LOOPED, id="mixed"),
        pytest.param(APART, Path.LOOPED, id="gates-apart"),
        pytest.param([MIXED[0], MIXED[7]], Path.LIBRARY, id="fused"),
    ],
)
def test_an_update_in_a_cohort_has_the_bits_of_one_alone(placements, path, cell):
    """Parameters, states, loss and norm, in float32, with other seeds, updates and rates beside."""
    own = [placement & cell.has for placement in placements]
    plans = cohorts.plans_of(_net_of(cell), own, path)
    for (together, alone), planned in zip(_pairs(plans), plans, strict=True):
        assert_same(together, alone, planned.placement)


@pytest.mark.parametrize("cell", CELL)
def test_every_edge_beside_every_other_has_the_bits_of_one_alone(cell):
    """The kernels of one cohort have every site at once; each trial acts at one of them."""
    placements = [
        Placement({edge: Drop(0.3, fill=fill)})
        for edge in cell.has
        for fill in cell.rule(edge).fills
    ]
    plans = cohorts.plans_of(_net_of(cell), placements)
    for (together, alone), planned in zip(_pairs(plans), plans, strict=True):
        assert_same(together, alone, planned.placement)


@given(st.lists(drawn_placements(NET.layers), min_size=2, max_size=4))
@seeded(25)
def test_drawn_companions_change_no_bit(placements):
    """Of those that are drawn together only such as may share a cohort."""
    kinds = [alike(placement, NET.layers)[2:] for placement in placements]
    own = [placement for placement, kind in zip(placements, kinds, strict=True) if kind == kinds[0]]
    plans = cohorts.plans_of(NET, own)
    for (together, alone), planned in zip(_pairs(plans), plans, strict=True):
        assert_same(together, alone, planned.placement)


def test_bits_are_equal_with_two_threads():
    """The library splits a product alone otherwise than in a batch."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        test_an_update_in_a_cohort_has_the_bits_of_one_alone(MIXED[1:3], Path.LOOPED, LSTM)
        test_an_update_in_a_cohort_has_the_bits_of_one_alone(MIXED[1:3], Path.LOOPED, GRU)
    finally:
        torch.set_num_threads(before)


def test_bfloat16_in_a_cohort_is_as_alone_within_a_rounding():
    """Gates apart beside gates that share: any mixture, within 2**-7 of the largest change."""
    plans = cohorts.plans_of(NET, [*MIXED, *APART], precision="bf16")
    for (together, alone), planned in zip(_pairs(plans), plans, strict=True):
        for name, value in alone.items():
            size = value.abs().max()
            assert (together[name] - value).abs().max() <= 2**-7 * size, (
                name,
                planned.placement,
            )


@pytest.mark.parametrize("cell", CELL[:-1])
def test_an_evaluation_in_a_cohort_has_the_bits_of_one_alone(cell):
    """Every token's log-probability, at a number of streams that leaves a remainder."""
    plans = cohorts.plans_of(_net_of(cell), [placement & cell.has for placement in MIXED])
    parameters = cohorts.initial(plans, V)
    tokens = (torch.arange(61) ** 2 % V).int().numpy()
    given = {"streams": 4, "unroll": 5, "eos": 0}
    evaluation, updates = Evaluation.of(stacked(parameters), plans), [0] * len(plans)
    found = evaluation(tokens, updates=updates, **given)
    for own, values, planned in zip(found, parameters, plans, strict=True):
        expected = evaluate(values, tokens, planned, **given)
        assert (own.log_probs_N == expected.log_probs_N).all(), planned.placement


def test_alike_says_who_may_share_a_cohort():
    """Paths and gates apart decide; rates, fills and other edges do not."""
    layers = NET.layers
    none, naive, window, *_ = (alike(placement, layers) for placement in MIXED)
    assert naive == window != none
    assert naive == alike(Placement({Edge.HIDDEN: Drop(0.4)}), layers)
    assert len({alike(placement, layers, precision="bf16") for placement in MIXED}) == 1
    assert alike(APART[0], layers) == alike(APART[1], layers) != naive


@pytest.mark.parametrize("edge", [Edge.INPUT, Edge.RECURRENT], ids=lambda edge: edge.label)
def test_gates_apart_that_take_one_product_are_not_alike(edge):
    """A mask that folds into its weight, or a layer that nothing drops, beside four products."""
    inside = Placement({Edge.HIDDEN: Drop(0.2)})
    apart = inside | Placement({edge: Drop(0.4, Sharing(gate=1))})
    folded = inside | Placement({edge: Drop(0.4, Sharing(time=ALL, batch=ALL, gate=1))})
    assert alike(apart, 1) != alike(folded, 1) == alike(inside, 1)
    lower, upper, both = (
        inside | Placement({Edge.RECURRENT: Drop(rates, Sharing(gate=1))})
        for rates in ((0.3, 0.0), (0.0, 0.3), (0.2, 0.3))
    )
    assert len({alike(own, 2) for own in (lower, upper, both)}) == 3
    plans = cohorts.plans_of(Net(layers=1, hidden=16), [folded, inside])
    given = {"updates": [1, 2], "learning_rates": [0.1] * 2, "clips": [9.0] * 2}
    for together, alone in cohorts.together_and_alone(
        plans, cohorts.initial(plans, V), WINDOWS, **given
    ):
        assert_same(together, alone)


def test_a_state_is_zero_for_every_trial():
    """[L, K, B, H], no two of them one memory."""
    like = torch.zeros(1, dtype=torch.float64)
    s, c = language_model.zero_cohort_state(NET, 3, B, like)
    assert s.shape == c.shape == (NET.layers, 3, B, NET.hidden)
    assert s.dtype == torch.float64
    s += 1.0
    assert not c.any()


def test_a_scale_kept_at_test_is_the_trials_own():
    """Two trials of one edge, one scaled in training and one in evaluation."""
    placements = [
        Placement({Edge.OUTPUT: Drop(0.5, scale=scale)}) for scale in (Scale.TRAIN, Scale.TEST)
    ]
    for together, alone in _pairs(cohorts.plans_of(NET, placements)):
        assert_same(together, alone)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_copies_that_are_brought_along_are_those_made_anew(precision):
    """Three updates with one set of copies, and with new ones each time, have the same bits."""
    plans = cohorts.plans_of(NET, MIXED[:3], precision=precision)
    each, state = _start(plans)
    given, windows = _given(3), cohorts.windows_of(V, T, B, 3)
    update = cohorts.start(plans, each, (T, B), state=state, **given)
    cohorts.updated(update, windows)
    anew = each
    for window in windows:
        one = cohorts.start(plans, anew, (T, B), state=state, **given)
        cohorts.updated(one, [window])
        anew = [{name: value[k] for name, value in one.parameters.items()} for k in range(3)]
        given["updates"] = [number + 1 for number in given["updates"]]
        state = one.state
    assert_same(update.parameters, stacked(anew))
    fresh = product_copies(update.parameters, precision)
    assert_same(update.copies.layers, fresh.layers)
    for own, other in zip(update.copies.softmax, fresh.softmax, strict=True):
        assert torch.equal(own, other)
