"""A rule by layer is the rates that it stands for, in nets of every depth, bit for bit.

And an axis that a net does not have, its second direction, changes none.
"""

from dataclasses import dataclass

import pytest
import torch
from drawing import EDGES, placements, seeded
from engine.case import MODES, H, everything, make_case, window_of
from hypothesis import given
from hypothesis import strategies as st

from ablate.drops import ALL, BOTTOM, GROWING, TOP, Drop, Sharing
from ablate.edges import RULES, Edge, layers_of
from ablate.engine.masks.net import mask
from ablate.engine.plan import Mode, Path, alike, plan
from ablate.noise import Noise
from ablate.placement import Placement

P = 0.4


def _written(rule, places):
    """The rates of the rule, written out a second time."""
    return {
        TOP: (*[0.0] * (places - 1), P),
        BOTTOM: (P, *[0.0] * (places - 1)),
        GROWING: tuple(P * ((i + 1) / places) for i in range(places)),
    }[rule]


def _assert_same_run(one, other, layers, mode):
    assert plan(one, layers, mode=mode) == plan(other, layers, mode=mode)
    assert alike(one, layers) == alike(other, layers)
    case = make_case(layers, dtype=torch.float32)
    window = window_of(case, mode=mode)
    path = plan(one, layers, mode=mode).path
    for each in (path, Path.REFERENCE):
        found, expected = (everything(case, p, window, each) for p in (one, other))
        for name, value in expected.items():
            assert torch.equal(found[name], value), (name, each, one.text)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("rule", [TOP, BOTTOM, GROWING], ids=lambda rule: rule.value)
@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.label)
def test_a_rule_runs_as_its_rates(edge, rule, layers, mode):
    """Values, states and gradients of every edge and fill, in training and in evaluation."""
    places = len(layers_of(edge, layers))
    for fill in RULES[edge].fills:
        ruled = Placement({edge: Drop(P, fill=fill, layers=rule)})
        written = Placement({edge: Drop(_written(rule, places), fill=fill)} if places else {})
        if places:
            _assert_same_run(ruled, written, layers, mode)
        else:
            assert ruled.within(layers) == written


@given(placements(3), st.sampled_from(MODES))
@seeded(40)
def test_drawn_rules_run_as_their_rates(placement, mode):
    """Any edges together, some by a rule."""
    _assert_same_run(placement, placement.within(3), 3, mode)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_top_alone_leaves_the_lower_layers_alone(layers):
    """Nothing is drawn where the rate is 0, and the plan's cohort has gates apart at the top."""
    apart = Placement({Edge.RECURRENT: Drop(P, Sharing(gate=1), layers=TOP)})
    assert alike(apart, layers)[2:] == ((Edge.RECURRENT, layers - 1),)


@dataclass(frozen=True)
class Uneven(Noise):
    """A noise that keeps its mean at one rate only."""

    name: str = "UNEVEN"

    def mean(self, rate):
        return 1.0 if rate == P else 0.5

    def variance(self, rate):
        return rate

    def multiplier(self, word, rate):
        return torch.ones_like(word, dtype=torch.float64) * rate


@pytest.mark.parametrize(
    ("rule", "layers", "reach"),
    [(TOP, 2, "silent"), (BOTTOM, 2, "silent"), (GROWING, 2, "inside"), (GROWING, 1, "silent")],
    ids=lambda value: getattr(value, "value", str(value)),
)
def test_the_plan_asks_a_noise_for_the_rates_of_the_layers_that_drop(rule, layers, reach):
    """At p it rests in evaluation, growing up to p it does not; at rate 0 it is not asked."""
    placement = Placement({Edge.HIDDEN: Drop(P, noise=Uneven(), layers=rule)})
    assert plan(placement, layers, mode=Mode.MEAN).reaches[0].reach.value == reach


@pytest.mark.parametrize(
    "edge", [e for e in EDGES if e is not Edge.EMBEDDING], ids=lambda e: e.label
)
def test_sharing_between_directions_says_nothing_of_a_net_of_one(edge):
    """Every bit is what it was."""
    own, shared = (Placement({edge: Drop(P, Sharing(direction=extent))}) for extent in (1, ALL))
    assert shared != own
    for mode in MODES:
        _assert_same_run(shared, own, 2, mode)


def test_a_mask_is_that_of_a_drop_whose_rates_are_known(refused):
    """A drop alone does not say how deep the net is; `within` does."""
    placement, window = Placement({Edge.HIDDEN: Drop(P, layers=TOP)}), window_of(make_case(2))
    with refused():
        mask(placement[Edge.HIDDEN], Edge.HIDDEN, 1, H, window)
    drawn = mask(placement.within(2)[Edge.HIDDEN], Edge.HIDDEN, 1, H, window)
    plain = Placement({Edge.HIDDEN: Drop(P)})[Edge.HIDDEN]
    assert torch.equal(drawn, mask(plain, Edge.HIDDEN, 1, H, window))
