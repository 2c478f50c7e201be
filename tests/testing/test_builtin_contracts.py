"""The shipped contracts, held by every built-in strategy, noise and schedule."""

import pytest

from ablate import noise, schedules
from ablate.strategies import all_strategies
from ablate.testing import NoiseContract, ScheduleContract, StrategyContract

STRATEGIES = [each.name for each in all_strategies() if each.origin.startswith("ablate")]
# One of each kind: a mask a step, words and gates apart, held values, weights, a noise, a schedule.
# An edge alone is law 1's.
FAST = ("zaremba2014", "gal2016", "zoneout", "merity2017", "gaussian", "morerio2017")
NOISES = [each for each in vars(noise).values() if isinstance(each, noise.Noise)]
SCHEDULES = [each for each in vars(schedules).values() if isinstance(each, schedules.Schedule)]


class TestStrategies(StrategyContract):
    """Every strategy that ablate brings."""

    @pytest.fixture(
        autouse=True,
        params=[
            pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
            for name in STRATEGIES
        ],
    )
    def named(self, request):
        """Name the strategy under test."""
        self.strategy = request.param


@pytest.mark.slow
class TestStrategiesOnOtherCells(StrategyContract):
    """Some of them, on nets of a GRU and of a plain RNN."""

    @pytest.fixture(autouse=True, params=[("gru", "gal2016"), ("rnn", "everywhere")], ids="-".join)
    def named(self, request):
        """Name the cell and the strategy under test."""
        self.cell, self.strategy = request.param


class TestNoises(NoiseContract):
    """Every noise that ablate brings."""

    @pytest.fixture(autouse=True, params=NOISES, ids=lambda each: each.name)
    def named(self, request):
        """Name the noise under test."""
        self.noise = request.param


class TestSchedules(ScheduleContract):
    """Every schedule that ablate brings."""

    @pytest.fixture(autouse=True, params=SCHEDULES, ids=lambda each: each.name)
    def named(self, request):
        """Name the schedule under test."""
        self.schedule = request.param
