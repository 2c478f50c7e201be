"""A strategy that breaks its contract fails it, and the failure says what is wrong in words."""

import itertools
import subprocess
import sys

import pytest

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.placement import Placement
from ablate.strategies import Rate
from ablate.testing import StrategyContract

_calls = itertools.count()


def alternating(rate: Rate = 0.25) -> Placement:
    """Drop here at one call and there at the next."""
    return Placement({(Edge.INPUT, Edge.OUTPUT)[next(_calls) % 2]: Drop(rate)})


def doubled(rate: Rate = 0.25) -> Placement:
    """Drop twice as much as is said."""
    return Placement({Edge.INPUT: Drop(2.0 * rate)})


def by_layer(rate: Rate = 0.25) -> Placement:
    """Drop less the higher."""
    return Placement({Edge.HIDDEN: Drop((rate, rate / 2))})


def unfinished(rate: Rate = 0.25) -> Placement:
    """drop something"""
    return Placement({Edge.INPUT: Drop(rate)})


def always(rate: Rate = 0.25) -> Placement:
    """Drop a tenth of the output, whatever is asked for."""
    return Placement({Edge.INPUT: Drop(rate), Edge.OUTPUT: Drop(0.1)})


def wandering(rate: Rate = 0.25) -> Placement:
    """Drop elsewhere once there is much to drop."""
    return Placement({Edge.INPUT if rate < 0.4 else Edge.CELL: Drop(rate)})


def falling(rate: Rate = 0.25) -> Placement:
    """Take the probability of keeping for that of dropping."""
    return Placement({Edge.INPUT: Drop(1.0 - rate)})


@pytest.mark.parametrize(
    ("function", "test"),
    [
        pytest.param(
            alternating,
            "test_the_same_arguments_give_the_same_placement",
            id="impure",
        ),
        pytest.param(
            doubled,
            "test_every_drawn_point_is_a_placement",
            id="a-drawn-point-is-refused",
        ),
        pytest.param(
            doubled,
            "test_every_end_and_choice_is_a_placement",
            id="an-end-is-refused",
        ),
        pytest.param(
            by_layer,
            "test_every_end_and_choice_is_a_placement",
            id="a-net-of-one-layer",
        ),
        pytest.param(
            unfinished,
            "test_its_docstring_is_its_help",
            id="no-sentence",
        ),
        pytest.param(
            always,
            "test_all_rates_at_zero_drop_nothing",
            id="a-hidden-rate",
        ),
        pytest.param(
            wandering,
            "test_more_of_the_dial_drops_no_less",
            id="a-dial-that-moves",
        ),
        pytest.param(
            falling,
            "test_more_of_the_dial_drops_no_less",
            id="a-dial-that-falls",
        ),
    ],
)
def test_a_broken_strategy_fails_in_words(contract, function, test, wording):
    """The message names the strategy, the point, and what to do."""
    with pytest.raises(AssertionError) as failure:
        getattr(contract(function), test)()
    wording(str(failure.value).partition("\n")[0])


def test_a_strategy_for_one_depth_says_so(contract):
    """`layers` narrows the nets that a strategy with a rate for each layer must fit."""
    deep = contract(by_layer, layers=(2,))
    deep.test_every_end_and_choice_is_a_placement()
    deep.test_masks_keep_their_stated_mean_and_variance()
    deep.test_an_update_trains_and_can_be_repeated()


def test_a_contract_without_a_name_is_told(contract):
    """Forgetting the one line that is needed is told as that."""
    with pytest.raises(AssertionError, match="TestNothing names no strategy: write strategy ="):
        type("TestNothing", (StrategyContract,), {})().test_it_is_registered()
    with pytest.raises(AblateError, match="no strategy is called 'gall2016'; did you mean"):
        type("TestTypo", (StrategyContract,), {"strategy": "gall2016"})().test_it_is_registered()


def test_a_failure_shows_values(contract):
    """pytest rewrites the asserts of the shipped modules too."""
    with pytest.raises(AssertionError, match=r"\nassert Placement\(.*\) == Placement\("):
        contract(alternating).test_the_same_arguments_give_the_same_placement()


def test_without_pytest_one_sentence_says_what_to_install():
    """pytest is an extra."""
    code = "import sys; sys.modules['pytest'] = None; import ablate.testing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ImportError: ablate.testing needs pytest, which ablate alone does not install: "
        "install the extra, ablate-dropout[test]"
    )
