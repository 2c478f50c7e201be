"""Schedules of the rates: factors, a placement at an update, and its masks."""

import itertools
import math
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from drawing import placements, seeded
from hypothesis import given
from hypothesis import strategies as st
from training import cohorts, toys

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.masks.net import mask
from ablate.engine.window import Window
from ablate.model.parameters import initial_parameters
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CONSTANT, CURRICULUM, Schedule, factor_at
from ablate.training.evaluation import evaluate
from ablate.training.loop import train
from ablate.training.update import TrialPlan


@dataclass(frozen=True)
class Steps(Schedule):
    """Half the rates for the first half of the trial, or another share of them."""

    name: str = "STEPS"
    low: float = 0.5

    def factor(self, update: int, total: int) -> float:
        return self.low if 2 * update < total else 1.0


@dataclass(frozen=True)
class Broken(Schedule):
    """Gives whatever it is told to."""

    name: str = "BROKEN"
    value: object = None

    def factor(self, update: int, total: int) -> float:
        return self.value  # type: ignore


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        pytest.param(CONSTANT, (1.0, 1.0, 1.0), id="constant"),
        # Morerio's gamma is 10 / total: 1 - exp(-5) half way.
        pytest.param(CURRICULUM, (0.0, 1 - math.exp(-5), 1 - math.exp(-10)), id="curriculum"),
        pytest.param(ANNEALED, (1.0, 0.5, 0.0), id="annealed"),
        pytest.param(Steps(), (0.5, 1.0, 1.0), id="of-ones-own"),
    ],
)
def test_factors_at_the_start_half_way_and_at_the_end(schedule, factors):
    """The published curves at three updates, for trials of any length."""
    for total in (2, 10, 1000):
        found = [factor_at(schedule, update, total) for update in (0, total // 2, total)]
        assert found == pytest.approx(factors, abs=1e-15)


@given(st.sampled_from((CURRICULUM, ANNEALED)), st.integers(1, 10**6), st.data())
@seeded(100)
def test_built_in_schedules_are_monotone_and_bounded(schedule, total, data):
    """A curriculum only grows harder, an annealing only easier."""
    first = data.draw(st.integers(0, total))
    second = data.draw(st.integers(first, total))
    low, high = (factor_at(schedule, update, total) for update in (first, second))
    assert 0.0 <= min(low, high) <= max(low, high) <= 1.0
    assert low <= high if schedule is CURRICULUM else low >= high


@pytest.mark.parametrize(
    "value", [1.5, -0.1, math.nan, None, "half"], ids=["above", "below", "nan", "none", "word"]
)
def test_a_factor_outside_0_to_1_is_refused(value, refused):
    """The sentence names the schedule, what is allowed, what came, and when."""
    with refused():
        factor_at(Broken(value=value), 3, 10)


@pytest.mark.parametrize(("update", "total"), [(-1, 5), (6, 5), (0, 0)])
def test_an_update_beyond_the_trial_is_refused(update, total, refused):
    """A schedule is not asked for what its trial never reaches."""
    placement = Placement({Edge.INPUT: Drop(0.5)}, CURRICULUM)
    with refused():
        placement.at(update, total)


def test_a_constant_placement_is_itself_at_every_update():
    """No copy is made, and no total is asked for."""
    placement = Placement({Edge.INPUT: Drop(0.5)})
    assert placement.at(7, 0) is placement


@given(placements(2), st.floats(0.0, 1.0))
@seeded(100)
def test_at_scales_every_rate(placement, factor):
    """Rates times the factor, all else as it was; what falls below 2**-32 is silent."""
    scheduled = Placement(placement, Steps(low=factor))
    by_hand = {}
    for edge, drop in placement.items():
        scaled = tuple(rate * factor if rate * factor >= 2**-32 else 0.0 for rate in drop.rates)
        rate = scaled if len(scaled) > 1 else scaled[0]
        by_hand[edge] = replace(drop, rate=rate)
    assert scheduled.at(0, 10) == Placement(by_hand)
    assert scheduled.at(0, 10).schedule == CONSTANT
    assert scheduled.at(9, 10) == placement


def test_the_text_of_a_scheduled_placement_ends_with_its_schedule():
    """Unscheduled text is what it always was; a schedule of one's own has its source's digest."""
    drops = {Edge.UPDATE: Drop(0.25)}
    text = "UPDATE(0.25;time=1,batch=1,unit=1,update=1;ZERO;BERNOULLI;TRAIN)"
    assert Placement(drops).text == Placement(drops, CONSTANT).text == text
    assert Placement(drops, CURRICULUM).text == f"{text} @ CURRICULUM"
    own = Placement(drops, Steps(low=0.25)).text
    assert own.startswith(f"{text} @ STEPS#")
    assert own.endswith(",low=0.25")
    assert len(own) == len(f"{text} @ STEPS#12345678,low=0.25")


def test_a_schedule_tells_placements_apart():
    """Equality, hash, row and pickle all know the schedule."""
    drops = {Edge.VERTICAL: Drop(0.5)}
    plain, rising, falling = (Placement(drops, s) for s in (CONSTANT, CURRICULUM, ANNEALED))
    assert len({plain, rising, falling, Placement(drops, CURRICULUM)}) == 3
    assert [p.row()["schedule"] for p in (plain, rising)] == ["CONSTANT", "CURRICULUM"]
    assert pickle.loads(pickle.dumps(rising)) == rising
    assert Placement(drops, Steps()) == Placement(drops, Steps())
    assert Placement(drops, Steps()) != Placement(drops, Steps(low=0.4))


def test_a_silent_placement_has_no_schedule():
    """Nothing at any factor is nothing."""
    assert Placement({Edge.INPUT: Drop(0.0)}, CURRICULUM) == Placement()
    assert Placement({}, ANNEALED).text == "none"


def test_what_is_no_schedule_is_refused(refused):
    """A function alone has no name that a result could keep."""
    with refused():
        Placement({Edge.INPUT: Drop(0.5)}, max)  # type: ignore


INSIDE = Placement(
    {
        Edge.RECURRENT: Drop(0.4, Sharing(time=ALL)),
        Edge.CARRY: Drop((0.2, 0.6), fill=Fill.HOLD),
        Edge.OUTPUT: Drop(0.5, scale=Scale.TEST),
        Edge.EMBEDDING: Drop(0.3),
    }
)
OUTSIDE = Placement({Edge.VERTICAL: Drop(0.5), Edge.WEIGHT: Drop(0.3)})


@pytest.mark.parametrize("schedule", [CURRICULUM, ANNEALED], ids=lambda s: s.name)
def test_masks_are_nested_along_a_schedule(schedule):
    """One word, one threshold: what the lower rate drops, the higher rate drops too."""
    placement = Placement({Edge.OUTPUT: Drop(0.6)}, schedule)
    window = Window(seed=3, update=5, time=7, batch=3)
    dropped = []
    for update in sorted(range(1, 10), key=lambda update: schedule.factor(update, 10)):
        drop = placement.at(update, 10)[Edge.OUTPUT]
        dropped.append(mask(drop, Edge.OUTPUT, 0, 13, window) == 0)
    for lower, higher in itertools.pairwise(dropped):
        assert not bool((lower & ~higher).any())
    assert 0 < int(dropped[0].sum()) < int(dropped[-1].sum())


def _parameters():
    trial = toys.trial()
    made = initial_parameters(trial.net, toys.VOCABULARY, seed=7, radius=0.5)
    return trial.net, made


def _updated(planned, update):
    """The parameters after one update of a planned, at that number of its trial."""
    _, parameters = _parameters()
    words = torch.arange(8 * 3).view(8, 3) % toys.VOCABULARY
    given = {"updates": [update], "learning_rates": [0.5], "clips": [5.0]}
    made = cohorts.start([planned], [parameters], (7, 3), **given)
    return cohorts.updated(made, [(words[:-1], words[1:])])[0]


@pytest.mark.parametrize("placement", [INSIDE, OUTSIDE], ids=["inside", "outside"])
@pytest.mark.parametrize("schedule", [CURRICULUM, ANNEALED], ids=lambda s: s.name)
@pytest.mark.parametrize("update", [0, 3, 10])
def test_an_update_sees_the_scaled_rates(placement, schedule, update):
    """Bit for bit the update of the placement whose rates were scaled by hand; silent ones too."""
    net, _ = _parameters()
    planned = TrialPlan.planned(net, Placement(placement, schedule), 7, "cpu", updates=10)
    found = _updated(planned, update)
    by_hand = {
        edge: Drop(
            tuple(drop.rate_of(layer) * schedule.factor(update, 10) for layer in range(2))
            if isinstance(drop.rate, tuple)
            else drop.rate * schedule.factor(update, 10),
            drop.sharing,
            drop.fill,
            drop.noise,
            drop.scale,
        )
        for edge, drop in placement.items()
    }
    # On the same path: alone, what has become silent would be planned anew, with other last bits.
    expected = _updated(replace(planned, placement=Placement(by_hand)), update)
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize("placement", [INSIDE, OUTSIDE], ids=["inside", "outside"])
def test_factor_1_is_the_unscheduled_placement(tmp_path, placement):
    """A whole trial under a schedule that stays at 1 has equal bits."""
    corpus = toys.corpus(train=401)
    plain, ones = (
        train(toys.trial(placement=p), corpus, folder=tmp_path / str(n), on_epoch=lambda _: None)
        for n, p in enumerate((placement, Placement(placement, Steps(low=1.0))))
    )
    assert [row["train_nll"] for row in plain.epochs] == [row["train_nll"] for row in ones.epochs]
    for split in ("valid", "test"):
        np.testing.assert_array_equal(plain.tokens[split], ones.tokens[split])


def test_an_evaluation_takes_the_rates_of_its_moment():
    """After n updates each mean is that of the rates at n: half way half of them."""
    net, parameters = _parameters()
    tokens = toys.corpus().valid
    kept = {"streams": 4, "unroll": 7, "eos": 0}
    half = Placement({Edge.CARRY: Drop((0.1, 0.3), fill=Fill.HOLD)})
    full = Placement({Edge.CARRY: Drop((0.2, 0.6), fill=Fill.HOLD)}, ANNEALED)
    expected = evaluate(parameters, tokens, TrialPlan(net, half, 7), **kept)
    planned = TrialPlan.planned(net, full, 7, "cpu", updates=10)
    found = evaluate(parameters, tokens, planned, update=5, **kept)
    np.testing.assert_array_equal(found.log_probs_N, expected.log_probs_N)
    silent = evaluate(parameters, tokens, planned, update=10, **kept)
    none = evaluate(parameters, tokens, TrialPlan(net, Placement(), 7), **kept)
    np.testing.assert_array_equal(silent.log_probs_N, none.log_probs_N)


class Killed(Exception):
    """Stands in for a kill at the moment an epoch's row is handed over."""


@pytest.mark.parametrize("schedule", [CURRICULUM, ANNEALED], ids=lambda s: s.name)
def test_a_resumed_trial_goes_on_with_its_schedule(tmp_path, schedule):
    """Law 6: the number of an update comes from the checkpoint, and the factor from that."""
    trial = toys.trial(placement=Placement(INSIDE, schedule))
    corpus = toys.corpus(train=401)
    whole = train(trial, corpus, folder=tmp_path / "whole", on_epoch=lambda row: None)

    def stop(row):
        raise Killed

    with pytest.raises(Killed):
        train(trial, corpus, folder=tmp_path / "cut", on_epoch=stop)
    resumed = train(trial, corpus, folder=tmp_path / "cut", on_epoch=lambda row: None)
    for split in ("valid", "test"):
        np.testing.assert_array_equal(resumed.tokens[split], whole.tokens[split])
    unscheduled = train(
        toys.trial(placement=INSIDE), corpus, folder=tmp_path / "plain", on_epoch=lambda row: None
    )
    assert unscheduled.columns["valid_nll_last"] != whole.columns["valid_nll_last"]
