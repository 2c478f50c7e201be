"""A drop's values: what a rate and a sharing may be, and the words where they may not."""

import dataclasses
import math
import pickle

import pytest
from drawing import seeded
from hypothesis import given
from hypothesis import strategies as st

from ablate.drops import (
    ALL,
    BOTTOM,
    GROWING,
    PER_STEP,
    SMALLEST_RATE,
    TOP,
    VARIATIONAL,
    Drop,
    Fill,
    Layers,
    Scale,
    Sharing,
)
from ablate.errors import WrongValue
from ablate.noise import GAUSSIAN


@pytest.mark.parametrize(
    "rate",
    [
        pytest.param(0, id="zero"),
        pytest.param(0.5, id="half"),
        pytest.param(SMALLEST_RATE, id="smallest"),
        pytest.param(1.0 - SMALLEST_RATE, id="largest"),
        pytest.param(math.nextafter(SMALLEST_RATE, 1.0), id="above-smallest"),
    ],
)
def test_a_rate_lies_from_zero_to_below_one(rate):
    """Zero and every rate that a word of 32 bits can tell from never and always are taken."""
    kept = Drop(rate).rate
    assert kept == rate
    assert type(kept) is float


@pytest.mark.parametrize(
    "rate",
    [
        pytest.param(1, id="one"),
        pytest.param(1.0, id="one-float"),
        pytest.param(-0.1, id="negative"),
        pytest.param(1.5, id="above-one"),
        pytest.param(math.nan, id="nan"),
        pytest.param(math.inf, id="infinite"),
        pytest.param(True, id="true"),
        pytest.param("0.5", id="text"),
        pytest.param(None, id="none"),
        pytest.param(
            [0.5],
            id="list",
        ),
        pytest.param((), id="no-layer"),
        pytest.param((0.5, 1.0), id="one-layer-at-one"),
        pytest.param((0.5, math.nan), id="one-layer-at-nan"),
        pytest.param(SMALLEST_RATE / 2, id="rounds-to-never"),
        pytest.param(1.0 - SMALLEST_RATE / 2, id="rounds-to-always"),
    ],
)
def test_no_other_rate_is_taken(rate, refused):
    """The message says what a rate is and which one was given."""
    with refused(WrongValue, name="a rate" if rate != () else "a drop"):
        Drop(rate)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(
            {"sharing": "window"},
            id="sharing",
        ),
        pytest.param({"fill": "HOLD"}, id="fill"),
        pytest.param(
            {"noise": "GAUSSIAN"},
            id="noise",
        ),
        pytest.param(
            {"scale": "TEST"},
            id="scale",
        ),
        pytest.param({"layers": ALL}, id="layers"),
    ],
)
def test_a_field_of_another_type_is_refused(given, refused):
    """A text in the place of a value is told what the value is called."""
    with refused():
        Drop(0.3, **given)


def test_rates_by_layer_keep_their_order():
    """A tuple gives each layer its own rate, lowest first."""
    drop = Drop((0.1, 0.0, 0.3))
    assert [drop.rate_of(layer) for layer in range(3)] == [0.1, 0.0, 0.3]
    assert drop.rates == (0.1, 0.0, 0.3)
    assert not drop.silent


def test_one_rate_holds_at_every_layer():
    """A number is the rate of all layers."""
    assert [Drop(0.4).rate_of(layer) for layer in range(3)] == [0.4, 0.4, 0.4]
    assert Drop(0.4).rates == (0.4,)


@pytest.mark.parametrize(
    ("rule", "places", "rate"),
    [
        pytest.param(Layers.ALL, 3, 0.6, id="all"),
        pytest.param(TOP, 3, (0.0, 0.0, 0.6), id="top"),
        pytest.param(BOTTOM, 3, (0.6, 0.0, 0.0), id="bottom"),
        pytest.param(GROWING, 2, (0.3, 0.6), id="growing"),
        pytest.param(GROWING, 4, (0.15, 0.3, 0.6 * 0.75, 0.6), id="growing-in-four"),
        *(pytest.param(rule, 1, 0.6, id=f"one-place-{rule.value}") for rule in Layers),
    ],
)
def test_a_rule_is_laid_over_the_places(rule, places, rate):
    """Lowest first; at one place every rule is the rate itself. All else stays."""
    drop = Drop(0.6, VARIATIONAL, Fill.HOLD, scale=Scale.MEAN, layers=rule)
    assert drop.laid(places) == Drop(rate, VARIATIONAL, Fill.HOLD, scale=Scale.MEAN)
    assert drop.laid(places).laid(7) == drop.laid(places)


@given(st.floats(SMALLEST_RATE, 1.0 - SMALLEST_RATE), st.integers(1, 40))
@seeded(200)
def test_a_growing_rate_has_p_at_the_top_and_never_falls(p, places):
    """To the last bit, also where a lower layer's is too small for 32 bits."""
    drop = Drop(p, layers=GROWING).laid(places)
    rates = [drop.rate_of(index) for index in range(places)]
    assert rates == sorted(rates)
    assert rates[-1] == p


def test_tuples_and_single_rates_are_laid_already():
    """Without a rule there is nothing to write out."""
    for drop in (Drop(0.5), Drop((0.1, 0.2))):
        assert drop.laid(5) is drop


@pytest.mark.parametrize("rule", [TOP, BOTTOM, GROWING], ids=lambda rule: rule.value)
def test_a_rule_has_no_rate_before_the_depth_is_known(rule, refused):
    """Asking says where the rates are to be had."""
    with refused():
        Drop(0.5, layers=rule).rate_of(0)


@pytest.mark.parametrize("rates", [(0.1, 0.2), (0.5, 0.5), (0.5,)])
def test_a_rule_takes_one_rate(rates, refused):
    """A tuple says by itself which layers drop."""
    with refused():
        Drop(rates, layers=TOP)


def test_a_scaled_rule_stays_a_rule():
    """A schedule changes the rate alone."""
    assert Drop(0.5, layers=TOP).scaled(0.5) == Drop(0.25, layers=TOP)
    assert Drop(0.5, layers=TOP).scaled(2.0**-40).silent


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        pytest.param((0.5, 0.5), 0.5, id="equal"),
        pytest.param((0.5,), 0.5, id="single"),
        pytest.param((0, 0.0, -0.0), 0.0, id="zeros"),
    ],
)
def test_equal_rates_are_one_rate(given, rate):
    """A tuple of equal rates is that rate, so that equal drops have one text."""
    assert Drop(given) == Drop(rate)
    assert Drop(given).text == Drop(rate).text


def test_the_sign_of_a_zero_does_not_tell_drops_apart():
    """Equal drops have one text, also where a layer's rate is minus zero."""
    assert Drop((-0.0, 0.5)) == Drop((0.0, 0.5))
    assert Drop((-0.0, 0.5)).text == Drop((0.0, 0.5)).text


@pytest.mark.parametrize("rate", [0, 0.0, (0.0, 0.0)])
def test_a_zero_rate_is_silent(rate):
    """A drop that never drops says so."""
    assert Drop(rate).silent


def test_the_two_famous_sharings():
    """PER_STEP and VARIATIONAL differ over time alone."""
    assert PER_STEP.given() == (("time", 1),)
    assert VARIATIONAL.given() == (("time", ALL),)


@pytest.mark.parametrize(
    "axis", ["time", "word", "batch", "source", "unit", "gate", "update", "direction"]
)
@pytest.mark.parametrize("extent", [0, -1, 1.0, True, "ALL", 2**32])
def test_an_extent_is_a_whole_number_or_all(axis, extent, refused):
    """The message names the axis, what it takes and what was given."""
    with refused():
        Sharing(**{axis: extent})


@pytest.mark.parametrize("axis", ["word", "gate", "direction"])
def test_words_gates_and_directions_share_alone_or_all(axis, refused):
    """Neighbouring words and gates have no order, so bursts of them do not exist."""
    with refused():
        Sharing(**{axis: 2})


def test_a_direction_of_its_own_is_not_stated():
    """It is the only default that there is, and no text of before says it."""
    assert Sharing(direction=1) == Sharing()
    assert Sharing(direction=1, time=1).given() == (("time", 1),)
    assert Sharing(direction=ALL).over(PER_STEP) == Sharing(time=1, direction=ALL)
    assert Sharing(update=2, direction=ALL).given() == (("update", 2), ("direction", ALL))


def test_a_sharing_is_completed_axis_by_axis():
    """What is stated wins over the defaults; what is open takes them."""
    completed = Sharing(time=10).over(Sharing(time=1, unit=ALL))
    assert completed == Sharing(time=10, unit=ALL)


@pytest.mark.parametrize(
    ("drop", "text"),
    [
        pytest.param(Drop(0.5), "0.5;;ZERO;BERNOULLI;default", id="bare"),
        pytest.param(
            Drop((0.1, 0.25), Sharing(unit=2, time=ALL), scale=Scale.TEST),
            "0.1/0.25;time=ALL,unit=2;ZERO;BERNOULLI;TEST",
            id="layers",
        ),
        pytest.param(
            Drop(0.05, fill=Fill.HOLD, scale=Scale.MEAN), "0.05;;HOLD;BERNOULLI;MEAN", id="held"
        ),
        pytest.param(
            Drop(0.5, Sharing(direction=ALL, update=2)),
            "0.5;update=2,direction=ALL;ZERO;BERNOULLI;default",
            id="both-directions",
        ),
        pytest.param(Drop(0.5, layers=TOP), "0.5*TOP;;ZERO;BERNOULLI;default", id="top"),
        pytest.param(Drop(0.2, noise=GAUSSIAN), "0.2;;ZERO;GAUSSIAN;default", id="gaussian"),
    ],
)
def test_a_drops_text_states_everything(drop, text):
    """The text enters every result's key: changing it makes old results unfindable."""
    assert drop.text == text
    assert Drop.parse(text).text == text


def test_drops_are_frozen_and_travel():
    """A drop cannot be changed, can be a key, and survives pickling with ALL still the one ALL."""
    drop = Drop((0.1, 0.2), Sharing(time=ALL), Fill.HOLD, scale=Scale.MEAN)
    with pytest.raises(dataclasses.FrozenInstanceError):
        drop.rate = 0.9
    travelled = pickle.loads(pickle.dumps(drop))
    assert {drop: "found"}[travelled] == "found"
    assert travelled.sharing.time is ALL
