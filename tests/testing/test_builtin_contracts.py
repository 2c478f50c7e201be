"""The shipped contracts, held by every built-in strategy, noise and schedule."""

import pytest

from ablate import noise, schedules
from ablate.strategies import all_strategies
from ablate.testing import NoiseContract, ScheduleContract, StrategyContract

STRATEGIES = [each.name for each in all_strategies() if each.origin.startswith("ablate")]
NOISES = [each for each in vars(noise).values() if isinstance(each, noise.Noise)]
SCHEDULES = [each for each in vars(schedules).values() if isinstance(each, schedules.Schedule)]


class TestStrategies(StrategyContract):
    """Every strategy that ablate brings."""

    @pytest.fixture(autouse=True, params=STRATEGIES)
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
