"""Contracts of strategies that are registered for one test."""

import pytest

from ablate.strategies import registry, strategy
from ablate.testing import StrategyContract


@pytest.fixture
def contract(monkeypatch):
    """Register a function, with its rate as dial, and return its contract."""
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))

    def make(function, **given):
        strategy(dial="rate")(function)
        name = function.__name__
        return type("TestBroken", (StrategyContract,), {"strategy": name} | given)()

    return make
