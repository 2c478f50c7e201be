"""Contracts of strategies that are registered for one test."""

import pytest

from ablate.strategies import strategy
from ablate.testing import StrategyContract


@pytest.fixture
def contract(own_strategies):
    """Register a function, with its rate as dial, and return its contract."""

    def make(function, **given):
        strategy(dial="rate")(function)
        name = function.__name__
        return type("TestBroken", (StrategyContract,), {"strategy": name} | given)()

    return make
