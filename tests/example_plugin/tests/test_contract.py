"""The plugin keeps ablate's contracts."""

from sandwich_dropout.strategies import UNIFORM, WARM_UP

from ablate.edges import Edge
from ablate.strategies import get
from ablate.testing import NoiseContract, ScheduleContract, StrategyContract


class TestSandwich(StrategyContract):
    """The strategy, found by its entry point."""

    strategy = "sandwich"


class TestUniform(NoiseContract):
    """The noise."""

    noise = UNIFORM


class TestWarmUp(ScheduleContract):
    """The schedule."""

    schedule = WARM_UP


def test_the_recurrence_is_whole():
    """What the contracts cannot know: where this strategy means to drop."""
    assert get("sandwich").place().edges == Edge.VERTICAL
