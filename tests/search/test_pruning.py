"""Pruners: who stops at a rung depends on the curves of the search and on nothing else."""

import pytest

from ablate.search.pruning import rungs_of, stopped

# Sixteen points of which a higher number ends higher.
CURVES = {
    number: {epoch: 6.0 - 0.1 * epoch + 0.05 * number for epoch in range(1, 28)}
    for number in range(16)
}


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [(1, ()), (2, ()), (3, (1,)), (8, (2,)), (13, (1, 4)), (27, (3, 9)), (39, (4, 13))],
)
def test_rungs_are_a_ninth_and_a_third(epochs: int, rungs: tuple[int, ...]):
    """Of a trial's epochs, where that is at least one and not all."""
    assert rungs_of(epochs) == rungs


def test_the_median_stops_the_worse_half():
    """Those above the median of all that have come to the rung."""
    assert stopped("median", CURVES, 3, 27) == set(range(8, 16))


def test_few_points_have_no_median():
    """Optuna's pruner wants five."""
    few = {number: CURVES[number] for number in range(4)}
    assert stopped("median", few, 3, 27) == frozenset()


def test_hyperband_stops_some_and_never_the_best():
    """A bracket lets a third of its trials pass, in the order of numbers; another starts later."""
    first = stopped("hyperband", CURVES, 3, 27)
    later = stopped("hyperband", CURVES, 9, 27)
    assert 0 < len(first) < 16
    assert first < later
    assert 0 not in later


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_the_order_in_which_trials_come_does_not_matter(pruner: str):
    """Nor does what a trial did after the rung."""
    backwards = dict(reversed(CURVES.items()))
    longer = {n: {e: v for e, v in c.items() if e <= 3 or n % 2} for n, c in CURVES.items()}
    expected = stopped(pruner, CURVES, 3, 27)
    assert stopped(pruner, backwards, 3, 27) == stopped(pruner, longer, 3, 27) == expected


def test_none_stops_nobody():
    """The default."""
    assert stopped("none", CURVES, 3, 27) == frozenset()
