"""No ratio is shown that the calls do not support, in one table or between two."""

import math
import re

import numpy as np
import pytest
from bench import documents, show
from bench.cells import compared, fraction
from bench.files import read
from bench.intervals import Interval, interval, number, of_median, percent, ratio
from bench.retimed import COHORTS, UPDATES, Update, part, seen_from, updates
from bench.timing import summarise


def timed(*calls):
    """A timing as the JSON of today has it."""
    found = summarise(calls, 9.0)
    return {"ms": found.ms, "spread": found.spread, "repeat": found.repeat, "calls": list(calls)}


def earlier(ms, spread, repeat=3):
    """A timing as files without the calls have it."""
    return {"ms": ms, "spread": spread, "repeat": repeat}


def test_nine_values_bound_their_median_by_the_second_and_the_eighth():
    """Order statistics with at least 95 %: of five, Student's t of logarithms, by hand."""
    assert of_median([9, 1, 8, 2, 7, 3, 6, 4, 5]) == Interval(5, 2, 8)
    assert of_median([1, 2, 3, 4, 5, 6]) == Interval(3.5, 1, 6)
    low, high = math.exp(-4.302653 / 3**0.5), math.exp(4.302653 / 3**0.5)
    found = of_median([math.exp(-1), 1.0, math.e])
    assert found == pytest.approx((1.0, low, high), rel=1e-6)
    assert of_median([-1.0, 0.0, 1.0]) == pytest.approx((0.0, -2.4841, 2.4841), abs=1e-3)


@pytest.mark.parametrize("rounds", [3, 5, 6, 9, 12])
def test_of_two_equal_cases_a_ratio_is_rarely_shown(rounds):
    """In at most one comparison of twenty, but for chance: noise of 10 %, 1,000 comparisons."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (1000, 2, rounds))
    shown = 0
    for one, other in np.exp(noise):
        shown += "(" in compared({UPDATES: timed(*one)}, {UPDATES: timed(*other)})
    assert shown <= 65


def test_what_slows_all_cases_down_moves_no_ratio():
    """A machine that takes three times as long from the fifth round on: pairs are of one round."""
    slow = np.array([1, 1, 1, 1, 3, 3, 3, 3, 3.0])
    one, other = timed(*(12 * slow)), timed(*(10 * slow))
    assert one["spread"] > 0.5
    assert compared({UPDATES: one}, {UPDATES: other}) == "1.2"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        pytest.param(Interval(0.88, 0.64, 1.24), "0.64-1.24", id="noise"),
        pytest.param(Interval(1.261, 1.192, 1.797), "1.3 (1.19-1.80)", id="a-digit"),
        pytest.param(Interval(1.261, 1.252, 1.271), "1.26 (1.25-1.28)", id="two-digits"),
        pytest.param(Interval(42.11, 38.2, 47.9), "42 (38.2-47.9)", id="no-decimal"),
        pytest.param(Interval(1.004, 1.001, 1.006), "1.00-1.01", id="what-rounds-to-1"),
        pytest.param(Interval(2.0, 2.0, 2.0), "2", id="exact"),
        pytest.param(Interval(0.76, 0.412, 0.775), "0.76 (0.41-0.78)", id="near-an-end"),
        pytest.param(None, "-", id="one-call"),
    ],
)
def test_a_ratio_has_the_digits_that_its_bounds_support(found, text):
    """Bounds that hold 1 stand alone, and are rounded outwards."""
    assert number(found, null=1.0) == text


def test_numbers_that_are_no_ratios_keep_their_value():
    """A fraction has nothing to differ from; a fixed time differs from 0; shares are percents."""
    assert number(Interval(0.98, 0.91, 1.06)) == "0.98 (0.91-1.06)"
    assert number(Interval(-28.6, -67.8, 12.5), null=0.0) == "-67.8 to 12.5"
    assert fraction(5.0, {UPDATES: timed(10.0, 10.0, 10.0)}) == "0.5"
    assert fraction(5.0, {}) == "-"
    assert percent(Interval(0.03, 0.021, 0.044)) == "2-4%"
    assert percent(Interval(0.03, 0.0299, 0.0301)) == "3%"


def test_one_call_has_no_ratio():
    """It has no spread; that of a case to itself is 1 all the same."""
    one = {UPDATES: timed(8.0)}
    assert interval(lambda ms: ms, timed(8.0)) is None
    assert compared(one, {UPDATES: timed(9.0)}) == "-"
    assert compared(one, one) == "1"


def test_without_calls_a_median_may_be_off_by_two_widths():
    """137.8 ± 13 % to 156.1 ± 5 % is 0.64 to 1.22, by hand."""
    found = ratio({UPDATES: earlier(137.8, 0.13)}, {UPDATES: earlier(156.1, 0.05)})
    low, high = 0.8828 / (1.26 * 1.1), 0.8828 * 1.26 * 1.1
    assert found == pytest.approx((0.8828, low, high), abs=1e-3)


def test_a_pair_of_two_tables_has_bounds_that_hold_both():
    """0.88 here and 1.12 there is neither; the value is that of the table at hand."""
    one = {UPDATES: timed(*[88.0] * 9), COHORTS: timed(*[112.0] * 9)}
    other = {UPDATES: timed(*[100.0] * 9), COHORTS: timed(*[100.0] * 9)}
    assert ratio(one, other) == pytest.approx((0.88, 0.88, 1.12))
    assert compared(one, other) == "0.88-1.12"
    assert ratio(seen_from(COHORTS, one), seen_from(COHORTS, other)).value == pytest.approx(1.12)
    # What is in one table alone has that table's ratio.
    assert compared({UPDATES: one[UPDATES]}, other) == "0.88"


def test_the_same_pair_in_two_tables_of_the_reference_run():
    """`gal2016` to `none`, medium in bf16: 0.88 in one and 1.12 in the other, so neither."""
    report = read(documents.FOLDER / "cpu.json")
    cases = updates(report)
    gal, none = (Update("ablate", "medium", "bf16", name) for name in ("gal2016", "none"))
    medians = [cases[gal][at]["ms"] / cases[none][at]["ms"] for at in cases[gal]]
    assert medians == pytest.approx([0.883, 1.124], abs=1e-3)
    low, high = re.fullmatch(r"(\d\.\d\d)-(\d\.\d\d)", compared(cases[gal], cases[none])).groups()
    assert float(low) < 0.88
    assert float(high) > 1.12
    text = show.markdown(report)
    assert f"{low}-{high} | gal2016" in text
    assert "| medium | gal2016 | bf16 | 137.8 ± 13% | - | 158.9 ± 8% | 15% |" in text


def test_a_trial_of_a_cohort_has_its_part_of_every_call():
    """Of four trials in 8 ms, each has 2."""
    assert part(timed(8.0, 12.0), 4)["calls"] == [2.0, 3.0]
    assert part(earlier(8.0, 0.1), 4) == earlier(2.0, 0.1)
