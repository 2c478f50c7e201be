"""Samplers: the same study, search, number and results give the same next point."""

import pytest
from optuna.distributions import FloatDistribution

from ablate.search import CUBE
from ablate.search.sampling import LEARNS, Tried, cube, propose, seed_of
from ablate.search.space import Space
from ablate.strategies import get

RATE = "recipe.learning_rate"


def _space(name: str) -> Space:
    strategy = get(name)
    nuisances = {RATE: FloatDistribution(0.3, 2.0, log=True)}
    return Space(strategy.search_space(), nuisances, strategy.arguments() | {RATE: 1.0})


def _value(point: dict) -> float:
    return 5.0 + (point["rate"] - 0.3) ** 2 + (point[RATE] - 1.1) ** 2


def _searched(sampler: str, count: int, *, study: str = "s", search: str = "a") -> list[Tried]:
    """The first points of a search, each told before the next is asked for."""
    space = _space("zaremba2014")
    tried: list[Tried] = []
    for number in range(count):
        point = space.default if number == 0 else propose(space, sampler, study, search, tried)
        tried.append(Tried(dict(point), _value(dict(point)), {}))
    return tried


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_the_cube_is_drawn_whole_and_grows_at_its_end(sampler: str):
    """More points add to those that were drawn; each has every coordinate, all of them inside."""
    few, many = cube(sampler, "placement/tuned", 3), cube(sampler, "placement/tuned", 5)
    assert many[:3] == few
    assert all((len(a), len(n)) == CUBE for a, n in many)
    assert all(0.0 <= u < 1.0 for a, n in many for u in [*a, *n])
    assert len({a[0] for a, _ in many}) == 5
    assert cube(sampler, "another/study", 3) != few


def test_qmc_fills_the_cube_more_evenly():
    """Of eight points of Sobol's sequence one lies in each eighth of every coordinate."""
    points = cube("qmc", "s", 8)
    for axis in range(3):
        assert sorted(int(8 * a[axis]) for a, _ in points) == list(range(8))


def test_a_point_of_random_is_known():
    """Held by its value: a drawn point is in the key of its trial."""
    first = cube("random", "placement/tuned", 1)[0]
    assert _space("zaremba2014").at(*first) == {"rate": 0.064, RATE: 0.452}


@pytest.mark.parametrize("sampler", sorted(LEARNS - {"gp"}))
def test_a_search_that_is_taken_up_again_goes_on_with_its_points(sampler: str):
    """The next point is a function of what was told, however long the process has lived."""
    whole = _searched(sampler, 14)
    for number in (1, 7, 13):
        again = propose(_space("zaremba2014"), sampler, "s", "a", whole[:number])
        assert again == whole[number].point
    assert _searched(sampler, 3, search="b")[1:] != whole[1:3]
    assert _searched(sampler, 3, study="t")[1:] != whole[1:3]


@pytest.mark.slow
def test_a_gaussian_process_goes_on_too():
    """It takes seconds a point."""
    whole = _searched("gp", 13)
    assert propose(_space("zaremba2014"), "gp", "s", "a", whole[:12]) == whole[12].point


@pytest.mark.parametrize("sampler", sorted(LEARNS - {"gp"}))
def test_a_sampler_that_learns_looks_at_results(sampler: str):
    """Other results lead to other points, and the later half of a search is better."""
    whole = _searched(sampler, 40)
    turned = [Tried(each.point, -(each.value or 0.0), {}) for each in whole[:30]]
    space = _space("zaremba2014")
    assert propose(space, sampler, "s", "a", turned) != whole[30].point
    values = [each.value or 0.0 for each in whole]
    assert sum(values[20:]) < sum(values[:20])


def test_a_pruned_point_is_told_with_its_curve():
    """It has no value; TPE ranks it behind those that ended, by how far it came."""
    whole = _searched("tpe", 12)
    cut = [
        Tried(each.point, None, {1: 9.0}) if i in (3, 5) else each for i, each in enumerate(whole)
    ]
    point = propose(_space("zaremba2014"), "tpe", "s", "a", cut)
    assert set(point) == {"rate", RATE}


def test_seeds_tell_names_apart():
    """No two lists of names run into each other."""
    assert seed_of("a", "b") != seed_of("ab") != seed_of("a", "b", 0)
    assert 0 <= seed_of("a") < 2**32
