"""Law 3: a trial alone equals the same trial in a cohort, whoever its companions are.

Eager sigmoids treat the end of a row otherwise than its middle, so that sizes here are multiples of
a vector; compiled kernels are held to odd sizes in compiled_cases.py.
"""

import pytest
import torch

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Path, alike
from ablate.masks import Address, Keep, activation_keeps, activation_words
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters
from ablate.noise import GAUSSIAN, threshold
from ablate.placement import Placement
from ablate.testing.close import assert_same
from ablate.training.evaluation import evaluate, evaluate_cohort
from ablate.training.update import Task, cohort_update, product_copies, train_update

NET, V, T, B = Net(layers=2, hidden=16), 31, 5, 4

_WINDOW = Sharing(time=ALL)

# One of each slot that a kernel may have, and of each way that a factor may come about.
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


def _words():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(V, (2, T, B), generator=generator).unbind()


def _start(tasks):
    """Parameters, state, windows: what every trial starts its second update from."""
    parameters = [initial_parameters(NET, V, seed=task.seed, radius=0.5) for task in tasks]
    generator = torch.Generator().manual_seed(5)
    state = torch.randn(2, NET.layers, len(tasks), B, NET.hidden, generator=generator).unbind()
    return parameters, state


def _tasks(placements, path=Path.LOOPED, precision="fp32"):
    return [
        Task(NET, placement, seed, path, path, updates=10, precision=precision)
        for seed, placement in enumerate(placements)
    ]


def _together(tasks, parameters, state):
    stacked = {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]}
    done = cohort_update(
        stacked,
        *_words(),
        state,
        tasks,
        updates=[3 + k for k in range(len(tasks))],
        learning_rates=[0.1 * (k + 1) for k in range(len(tasks))],
        clips=[1.0 + k for k in range(len(tasks))],
    )
    values = {**stacked, "s": done.state[0].transpose(0, 1), "c": done.state[1].transpose(0, 1)}
    numbers = list(zip(done.nlls, done.norms, strict=True))
    return [{name: value[k] for name, value in values.items()} for k in range(len(tasks))], numbers


def _alone(k, task, parameters, state):
    own = {name: value.clone() for name, value in parameters[k].items()}
    done = train_update(
        own, *_words(), (state[0][:, k], state[1][:, k]), task,
        update=3 + k, learning_rate=0.1 * (k + 1), clip=1.0 + k,
    )  # fmt: skip
    return {**own, "s": done.state[0], "c": done.state[1]}, (done.nll, done.norm)


@pytest.mark.parametrize(
    ("placements", "path"),
    [
        pytest.param(MIXED, Path.LOOPED, id="mixed"),
        pytest.param(APART, Path.LOOPED, id="gates-apart"),
        pytest.param([MIXED[0], MIXED[7]], Path.FUSED, id="fused"),
    ],
)
def test_an_update_in_a_cohort_has_the_bits_of_one_alone(placements, path):
    """Parameters, states, loss and norm, in float32, with other seeds, updates and rates beside."""
    tasks = _tasks(placements, path)
    parameters, state = _start(tasks)
    together, numbers = _together(tasks, parameters, state)
    for k, task in enumerate(tasks):
        alone, told = _alone(k, task, parameters, state)
        assert_same(together[k], alone, task.placement)
        assert numbers[k] == told


def test_bits_are_equal_with_two_threads():
    """The library splits a product alone otherwise than in a batch."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        test_an_update_in_a_cohort_has_the_bits_of_one_alone(MIXED[1:3], Path.LOOPED)
    finally:
        torch.set_num_threads(before)


def test_bfloat16_in_a_cohort_is_as_alone_within_a_rounding():
    """Gates apart beside gates that share: any mixture, within 2**-7 of the largest change."""
    tasks = _tasks([*MIXED, *APART], precision="bf16")
    parameters, state = _start(tasks)
    together, _ = _together(tasks, parameters, state)
    for k, task in enumerate(tasks):
        alone, _ = _alone(k, task, parameters, state)
        for name, value in alone.items():
            size = value.abs().max()
            assert (together[k][name] - value).abs().max() <= 2**-7 * size, (name, task.placement)


def test_an_evaluation_in_a_cohort_has_the_bits_of_one_alone():
    """Every token's log-probability, at a number of streams that leaves a remainder."""
    tasks = _tasks(MIXED)
    parameters, _ = _start(tasks)
    tokens = (torch.arange(61) ** 2 % V).int().numpy()
    given = {"streams": 4, "unroll": 5, "eos": 0}
    stacked = {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]}
    found = evaluate_cohort(stacked, tokens, tasks, updates=[0] * len(tasks), **given)
    for own, values, task in zip(found, parameters, tasks, strict=True):
        expected = evaluate(values, tokens, task, **given)
        assert (own.log_probs_N == expected.log_probs_N).all(), task.placement


def test_a_trial_that_is_not_finite_changes_nobody():
    """It stays as it is, its companions have the bits of before."""
    tasks = _tasks(MIXED[:3])
    parameters, state = _start(tasks)
    healthy, _ = _together(tasks, parameters, state)
    parameters[1]["lstm.weight_hh_l0"] = parameters[1]["lstm.weight_hh_l0"] * torch.inf
    together, numbers = _together(tasks, parameters, state)
    for k in (0, 2):
        assert_same(together[k], healthy[k])
    assert not torch.isfinite(torch.tensor(numbers[1])).all()
    for name, value in parameters[1].items():
        assert torch.equal(together[1][name], value)


def test_masks_drawn_together_are_those_drawn_alone():
    """Other seeds, updates, rates and scales in one call, at every sharing."""
    sharings = [Sharing(time=t, batch=b, unit=u, gate=ALL, update=n) for t, b, u, n in (
        (1, 1, 1, 1), (ALL, 1, 1, 1), (3, 2, 1, 1), (1, ALL, 5, 2), (ALL, ALL, ALL, ALL),
    )]  # fmt: skip
    for sharing in sharings:
        addresses = [
            Address(seed=seed, edge=Edge.HIDDEN, layer=1, update=7 * seed, start=2, batch_offset=3)
            for seed in range(3)
        ]
        keeps = [Keep(threshold(rate), 1 / (1 - rate), torch.float32) for rate in (0.2, 0.5, 0.7)]
        shape = {"time": 4, "batch": 3, "units": 13}
        together = activation_keeps(addresses, sharing, keeps=keeps, **shape)
        for own, address, keep in zip(together, addresses, keeps, strict=True):
            assert torch.equal(own, activation_words(address, sharing, keep=keep, **shape))


def test_alike_says_who_may_share_a_cohort():
    """Paths and gates apart decide; rates, fills and other edges do not."""
    layers = NET.layers
    none, naive, window, *_ = (alike(placement, layers) for placement in MIXED)
    assert naive == window != none
    assert naive == alike(Placement({Edge.HIDDEN: Drop(0.4)}), layers)
    assert len({alike(placement, layers, precision="bf16") for placement in MIXED}) == 1
    assert alike(APART[0], layers) == alike(APART[1], layers) != naive


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
        Placement({Edge.OUTPUT: Drop(0.5)}),
        Placement({Edge.OUTPUT: Drop(0.5, scale=Scale.TEST)}),
    ]
    tasks = _tasks(placements)
    parameters, state = _start(tasks)
    together, _ = _together(tasks, parameters, state)
    for k, task in enumerate(tasks):
        assert_same(together[k], _alone(k, task, parameters, state)[0], task.placement)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_copies_that_are_brought_along_are_those_made_anew(precision):
    """Three updates with one set of copies, and with new ones each time, have the same bits."""
    tasks = _tasks(MIXED[:3], precision=precision)
    parameters, state = _start(tasks)
    given = {"learning_rates": [0.1] * 3, "clips": [1.0] * 3}
    kept, anew = (
        {name: torch.stack([p[name] for p in parameters]) for name in parameters[0]}
        for _ in range(2)
    )
    copies = product_copies(kept, precision)
    for number in range(3):
        updates = [number] * 3
        cohort_update(kept, *_words(), state, tasks, updates=updates, copies=copies, **given)
        cohort_update(anew, *_words(), state, tasks, updates=updates, **given)
    assert_same(kept, anew)
    fresh = product_copies(kept, precision)
    assert_same(copies.layers, fresh.layers)
    for own, other in zip(copies.softmax, fresh.softmax, strict=True):
        assert torch.equal(own, other)
