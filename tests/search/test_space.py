"""The space of a search: coordinates become arguments, and arguments stay in their ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution

from ablate.search.space import Space
from ablate.strategies import all_strategies, get

RATE = "recipe.learning_rate"
SHARE = st.floats(0.0, 1.0, exclude_max=True)


def _space(name: str) -> Space:
    strategy = get(name)
    nuisances = {RATE: FloatDistribution(0.5, 2.0, log=True)}
    return Space(strategy.search_space(), nuisances, strategy.arguments() | {RATE: 1.0})


def test_the_ends_and_the_middle():
    """A rate is uniform, a nuisance uniform in its logarithm, a choice takes equal parts."""
    space = _space("recurrent")
    assert list(space.distributions) == ["rate", "sharing", "layers", RATE]
    low = {"rate": 0.0, "sharing": "step", "layers": "all", RATE: 0.5}
    assert space.at([0.0] * 3, [0.0]) == low
    half = {"rate": 0.45, "sharing": "window", "layers": "bottom", RATE: 1.0}
    assert space.at([0.5] * 3, [0.5]) == half
    high = {"rate": 0.9, "sharing": "window", "layers": "growing", RATE: 2.0}
    assert space.at([0.99999] * 3, [0.99999]) == high


def test_what_is_not_read_does_not_matter():
    """A strategy reads as many coordinates of the whole cube as it has arguments."""
    space = _space("zaremba2014")
    assert space.at([0.2, 0.7], [0.1]) == space.at([0.2], [0.1, 0.9])


@pytest.mark.parametrize("name", [strategy.name for strategy in all_strategies()])
@given(share=SHARE, other=SHARE)
def test_every_point_of_the_cube_is_a_placement(name: str, share: float, other: float):
    """Of every strategy, and its numbers are short: three decimals, three digits."""
    point = _space(name).at([share] * 32, [other] * 8)
    rate = point.pop(RATE)
    assert 0.5 <= rate <= 2.0
    assert rate == float(f"{rate:.3g}")
    get(name).place(**point)
    floats = [value for value in point.values() if isinstance(value, float)]
    assert all(value == round(value, 3) and 0 <= value <= 0.9 for value in floats)


def test_a_value_outside_is_taken_for_the_end():
    """A default may lie beyond what a search covers, and a sampler is told of the nearest point."""
    given = {"rate": 0.95, "sharing": "step", "layers": "all", RATE: 3.0}
    assert _space("recurrent").inside(given) == given | {"rate": 0.9, RATE: 2.0}
