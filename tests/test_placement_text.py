"""A placement's text is read back as the placement that it states."""

from dataclasses import dataclass

import pytest
from drawing import placements, seeded
from hypothesis import example, given
from hypothesis import strategies as st

from ablate import noise, schedules
from ablate.drops import ALL, BOTTOM, GROWING, TOP, Drop, Fill, Layers, Sharing
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.noise import GAUSSIAN, Noise
from ablate.placement import Placement
from ablate.schedules import ANNEALED, CONSTANT, CURRICULUM, Schedule
from ablate.strategies import all_strategies


@dataclass(frozen=True)
class Student(Noise):
    """A noise of another package, with fields of its own."""

    name: str = "STUDENT"
    df: float = 3.0
    mode: str = "two-sided"


@dataclass(frozen=True)
class Late(Schedule):
    """A schedule of another package."""

    name: str = "LATE"
    start: float = 0.5


SCHEDULES = st.sampled_from((CONSTANT, CURRICULUM, ANNEALED))
# Rates from the smallest to the largest, in every spelling that `repr` has.
WIDE = st.floats(2.0**-32, 1 - 2.0**-32)


@given(placements(3), SCHEDULES)
@seeded(400)
def test_parse_is_the_inverse_of_text(placement, schedule):
    """Every placement of ablate's own noises and schedules comes back equal."""
    placement = Placement(placement, schedule)
    again = Placement.parse(placement.text)
    assert again == placement
    assert (again.text, again.edges, again.schedule) == (
        placement.text,
        placement.edges,
        placement.schedule,
    )


@given(st.lists(WIDE, min_size=1, max_size=4), st.integers(1, 10**9))
@seeded(200)
def test_every_rate_and_extent_comes_back(rates, extent):
    """Rates are read back to their last bit, one or one a layer; so are extents."""
    drop = Drop(tuple(rates), Sharing(time=extent, batch=ALL), Fill.HOLD)
    placement = Placement({Edge.CELL: drop})
    assert Placement.parse(placement.text) == placement


@pytest.mark.parametrize("rule", [TOP, BOTTOM, GROWING], ids=lambda rule: rule.value)
def test_a_rule_by_layer_is_part_of_the_text(rule):
    """Behind the rate; the text of a placement without one is what it always was."""
    placement = Placement({Edge.CELL: Drop(0.5, layers=rule)})
    assert placement.text == CELL.replace("0.5", f"0.5*{rule.value}")
    assert Placement.parse(placement.text) == placement
    assert Placement({Edge.CELL: Drop(0.5, layers=Layers.ALL)}).text == CELL


@given(placements(3), st.floats(1, 9), st.sampled_from((CONSTANT, Late(), Late(start=0.25))))
@seeded(100)
def test_what_is_not_known_here_keeps_its_text(placement, df, schedule):
    """A plugin's noise and schedule come back as their text; edges, rates and sharings whole."""
    changed = {
        edge: Drop(drop.rate, drop.sharing, noise=Student(df=df))
        if drop.noise == GAUSSIAN
        else drop
        for edge, drop in placement.items()
    }
    placement = Placement(changed, schedule)
    again = Placement.parse(placement.text)
    assert again.text == placement.text
    assert hash(again) == hash(placement)
    for edge, drop in placement.items():
        assert (again[edge].rate, again[edge].sharing) == (drop.rate, drop.sharing)
    assert Placement.parse(again.text) == again


@pytest.mark.parametrize("strategy", all_strategies(), ids=lambda strategy: strategy.name)
def test_every_strategy_comes_back(strategy):
    """What the shipped strategies place is read back."""
    assert Placement.parse(strategy.place().text) == strategy.place()


def test_an_unknown_noise_or_schedule_is_never_sampled(refused):
    """A text says what a noise is called, not what it does."""
    placement = Placement(
        {Edge.INPUT: Drop(0.5, noise=Student())},
        Late(),
    )
    again = Placement.parse(placement.text)
    assert isinstance(again[Edge.INPUT].noise, noise.Unknown)
    assert isinstance(again.schedule, schedules.Unknown)
    for ask in (again[Edge.INPUT].noise.mean, again[Edge.INPUT].noise.variance):
        with refused():
            ask(0.5)
    with refused():
        again.at(1, 2)


CELL = "CELL(0.5;time=1,batch=1,unit=1,update=1;ZERO;BERNOULLI;TEST)"
INPUT = "INPUT(0.5;time=1,batch=1,unit=1,gate=ALL,update=1;ZERO;BERNOULLI;TRAIN)"


def test_a_text_in_lines():
    """One line an edge and one for the schedule; the silent placement has its own."""
    assert Placement.parse(f"{INPUT} | {CELL}").lines == (INPUT, CELL)
    rising = Placement.parse(f"{CELL} @ CURRICULUM")
    assert rising.lines == (CELL, "rates by the schedule CURRICULUM")
    assert Placement().lines == ("none",)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("x", id="a-word"),
        pytest.param(f"{CELL} |", id="cut"),
        pytest.param(CELL.replace("CELL", "CELLS"), id="edge"),
        pytest.param(f"{CELL} | {CELL}", id="twice"),
        pytest.param(f"{CELL} | {INPUT}", id="order"),
        pytest.param("CELL(0.5)", id="a-rate-alone"),
        pytest.param(CELL.replace("0.5", "0.50"), id="spelling"),
        pytest.param(CELL.replace("0.5", "half"), id="no-rate"),
        pytest.param(CELL.replace("0.5", "1.5"), id="rate"),
        pytest.param(CELL.replace("0.5", "nan"), id="nan"),
        pytest.param(CELL.replace("0.5", "0.0"), id="silent"),
        pytest.param(CELL.replace("unit=1,", ""), id="open-axis"),
        pytest.param(CELL.replace("time=1", "time=0"), id="extent"),
        pytest.param(CELL.replace("time=1", "time=" + 5000 * "9"), id="long"),
        pytest.param(CELL.replace("time=1", "tame=1"), id="axis"),
        pytest.param(CELL.replace("update=1", "update=1,direction=1"), id="dir"),
        pytest.param(CELL.replace("unit=1", "source=1"), id="no-such-axis"),
        pytest.param(CELL.replace("ZERO", "NULL"), id="fill"),
        pytest.param(CELL.replace("BERN", "BARN"), id="noise"),
        pytest.param(CELL.replace("0.5", "0.5*TPO"), id="rule"),
        pytest.param(CELL.replace("0.5", "0.5*"), id="no-rule"),
        pytest.param(CELL.replace("0.5", "0.5*ALL"), id="rule-unsaid"),
        pytest.param(CELL.replace("0.5", "0.1/0.5*TOP"), id="rule-and-rates"),
        pytest.param(INPUT.replace("0.5", "0.5*TOP"), id="rule-at-one-place"),
        pytest.param(CELL.replace("TEST", "default"), id="no-scale"),
        pytest.param(CELL.replace("TEST", "TRAIN"), id="scale"),
        pytest.param(f"{CELL} @ CURICULUM", id="schedule"),
        pytest.param(f"{CELL} @ CONSTANT", id="constant"),
        pytest.param("none @ CURRICULUM", id="silent-schedule"),
    ],
)
def test_another_text_is_refused(text, refused):
    """What the text of no placement is, each in one sentence."""
    with refused():
        Placement.parse(text)


@given(placements(2), st.data())
@example(Placement(), None)
@seeded(300)
def test_a_text_is_read_to_the_letter_or_refused(placement, data):
    """A changed text is the text of another placement, or of none: nothing is read loosely."""
    text = placement.text
    if data is not None:
        at = data.draw(st.integers(0, len(text)))
        put = data.draw(st.text("0159.;,/|()@=* ALZETRSOPINx#٣", max_size=2))
        text = text[:at] + put + text[at + data.draw(st.integers(0, 2)) :]
    try:
        assert Placement.parse(text).text == text
    except AblateError:
        assert text != placement.text
