"""Intervals, pairing and correction, against numbers worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ablate.errors import AblateError, WrongValue
from ablate.report.moderation import moderated
from ablate.report.paired import paired_rows
from ablate.report.statistics import (
    Differences,
    Summary,
    baseline_of,
    holm,
    improvement,
    lead_of,
    paired_p,
    seed_mean,
)


def trials(**placements: list[float | str]) -> pd.DataFrame:
    """A frame of trials: for each label its validation perplexity by seed, or its status.

    `a_again` is a second name of `a`: its keys and placement are those of `a`.
    """
    rows = []
    for position, (label, values) in enumerate(placements.items()):
        for seed, value in enumerate(values, start=1):
            lost = isinstance(value, str)
            rows.append(
                {
                    "strategy": label,
                    "arguments": "{}",
                    "label": label,
                    "dial": None,
                    "dial_value": math.nan,
                    "corpus_digest": "5f0c",
                    "net": "{}",
                    "recipe": "{}",
                    "precision": "fp32",
                    "baseline": label == "none",
                    "placement": label.removesuffix("_again"),
                    "position": position,
                    "seed": seed,
                    "key": f"{label.removesuffix('_again')}-{seed}",
                    "status": value if lost else "ok",
                    "valid_ppl": math.nan if lost else value,
                }
            )
    return pd.DataFrame(rows)


def test_interval_of_three_seeds_by_hand():
    """Three values 1, 2, 6: mean 3, s^2 = 7, half width 4.302653 sqrt(7 / 3)."""
    found = seed_mean([1.0, 2.0, 6.0])
    assert found.mean == pytest.approx(3.0)
    assert found.half == pytest.approx(4.30265273 * math.sqrt(7 / 3))
    assert (found.low + found.high) / 2 == pytest.approx(3.0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=12))
def test_interval_equals_scipy(values: list[float]):
    """The interval is scipy's, at every number of seeds from three on."""
    found = seed_mean(values)
    error = stats.sem(values)
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), error) if error else None
    low, high = expected or (np.mean(values), np.mean(values))
    assert [found.low, found.high] == pytest.approx([low, high], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("values", [[], [2.0], [2.0, 4.0]], ids=["none", "one", "two"])
def test_no_interval_below_three_seeds(values: list[float]):
    """Fewer than three seeds give their values and no interval."""
    found = seed_mean(values)
    assert found.values == tuple(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_mean_refuses_what_diverged(refused):
    """A value that is no number must be counted by the caller, never averaged."""
    with refused(WrongValue, allowed="numbers only"):
        seed_mean([1.0, math.nan])


def test_a_perplexity_above_every_float_has_a_mean_and_no_interval():
    """Three seeds of which one ends at inf: the mean is inf, and nothing is tested."""
    found = seed_mean([1.0, math.inf, 2.0])
    assert found.mean == math.inf
    assert math.isnan(found.low)
    assert math.isnan(paired_p([-1.0, math.inf, 2.0]))
    frame = trials(none=[100.0, math.inf, math.inf], b=[90.0, 100.0, math.inf])
    row = Differences()(frame).iloc[0]
    # Of two infinite perplexities nobody knows the better one.
    assert row["difference_values"] == (-10.0, -math.inf)
    assert (row["pairs"], row["better"], row["equal"]) == (2, 2, 0)


def test_the_lead_is_told_apart_from_every_other_placement_or_has_rivals():
    """Far below both others at each seed it leads alone; beside one that is as good it does not."""
    values = {"none": [100.0, 101.0, 102.0], "a": [80.0, 81.1, 82.0], "b": [90.0, 91.2, 92.1]}
    alone = lead_of(trials(**values))
    assert alone is not None
    assert (alone.strategy, alone.rivals) == ("a", ())
    shared = lead_of(trials(**values, c=[80.5, 80.9, 82.2]))
    assert shared is not None
    assert (shared.strategy, shared.rivals) == ("a", ("c",))
    two_seeds = lead_of(trials(none=[100.0, 101.0], a=[80.0, 81.0]))
    assert two_seeds is not None
    assert two_seeds.rivals == ("none",)


@pytest.mark.parametrize("again", [[82.0], [82.0, 81.1, 80.0], [82.0, 81.1, 80.0, 79.0]])
def test_a_second_name_of_the_lead_is_no_rival(again: list[float]):
    """Equal keys at the seeds that both have are one placement, whichever has more."""
    values = {"none": [100.0, 101.0, 102.0, 103.0], "a": [82.0, 81.1, 80.0]}
    found = lead_of(trials(**values, a_again=again))
    assert found is not None
    assert found.rivals == ()


def test_holm_by_hand():
    """.01, .04, .03, .005 of four become .03, .06, .06, .02 (Holm 1979, step down)."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_monotone_and_at_most_one():
    """An adjusted value never falls below one of a smaller p, and never exceeds 1."""
    assert holm([0.6, 0.4, 0.5]).tolist() == [1.0, 1.0, 1.0]
    assert holm([0.02, 0.011]).tolist() == pytest.approx([0.022, 0.022])


def test_holm_leaves_out_what_was_not_tested():
    """A comparison without a p-value is no member of the family."""
    found = holm([0.02, math.nan, 0.03])
    assert found[[0, 2]].tolist() == pytest.approx([0.04, 0.04])
    assert math.isnan(found[1])


def test_holm_of_nothing():
    """An empty family is an empty family."""
    assert holm([]).size == 0


def test_paired_p_equals_scipy():
    """The paired t test is scipy's one-sample test of the differences."""
    differences = [-1.0, -2.0, -1.5, 0.5]
    assert paired_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        pytest.param([0.0, 0.0, 0.0], 1.0, id="same trials"),
        pytest.param([-2.0, -2.0, -2.0], 0.0, id="constant"),
    ],
)
def test_paired_p_without_variance(differences: list[float], p: float):
    """Equal differences divide by no standard error."""
    assert paired_p(differences) == p


def test_no_p_below_three_pairs():
    """Two pairs are not tested."""
    assert math.isnan(paired_p([1.0, 2.0]))


def test_equal_is_neither_better_nor_worse():
    """Of four pairs two are better, one is equal and one worse: 2 / 3; equal ones are no share."""
    assert improvement([-1.0, -2.0, 0.0, 3.0]).share == pytest.approx(2 / 3)
    assert math.isnan(improvement([0.0, 0.0]).share)
    assert math.isnan(improvement([]).low)
    row = Differences()(trials(none=[100.0, 200.0, 300.0], b=[100.0, 190.0, 300.0])).iloc[0]
    assert (row["better"], row["equal"], row["pairs"]) == (1, 2, 3)


def test_the_interval_of_an_improvement_is_the_exact_binomial_one():
    """Better in 3 of 3 leaves anything from .025 ** (1 / 3) on; a worse one mirrors it."""
    found = improvement([-1.0, -2.0, -3.0])
    assert (found.share, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 3))
    worse = improvement([1.0, 2.0, 3.0])
    assert (worse.share, worse.low) == (0.0, 0.0)
    assert worse.high == pytest.approx(1 - found.low)


def test_summary_counts_and_never_averages_the_lost():
    """Diverged and failed trials are counted beside the mean of those that finished."""
    frame = Summary(("valid_ppl",))(trials(none=[200.0, "diverged", 210.0, "failed"]))
    row = frame.iloc[0]
    assert (row["n"], row["diverged"], row["failed"]) == (2, 1, 1)
    assert row["valid_ppl"] == pytest.approx(205.0)
    assert row["valid_ppl_values"] == (200.0, 210.0)
    assert math.isnan(row["valid_ppl_low"])


def test_summary_of_a_placement_that_only_diverged():
    """A placement without a finished trial keeps its row, with counts and no mean."""
    row = Summary(("valid_ppl",))(trials(moon=["diverged", "diverged"])).iloc[0]
    assert (row["n"], row["diverged"]) == (0, 2)
    assert math.isnan(row["valid_ppl"])
    assert row["valid_ppl_values"] == ()


def test_summary_keeps_the_order_of_the_study_file():
    """Rows stand in the order of `position`, however the frame is sorted."""
    shuffled = trials(none=[3.0], b=[2.0], a=[1.0]).iloc[::-1]
    assert Summary(("valid_ppl",))(shuffled)["label"].tolist() == ["none", "b", "a"]


def test_differences_are_paired_by_seed():
    """Each seed is compared with the baseline of the same seed, whatever the order of rows."""
    frame = trials(none=[100.0, 200.0, 300.0], zaremba=[90.0, 195.0, 285.0])
    row = Differences()(frame.sample(frac=1, random_state=1)).iloc[0]
    assert row["difference_values"] == (-10.0, -5.0, -15.0)
    assert row["difference"] == pytest.approx(-10.0)
    assert row["difference_high"] == pytest.approx(-10 + 4.30265273 * 5 / math.sqrt(3))
    assert row["improvement"] == 1.0
    assert row["p"] == pytest.approx(stats.ttest_rel([90, 195, 285], [100, 200, 300]).pvalue)


def test_placements_of_a_family_lend_each_other_degrees_of_freedom():
    """Interval and p are of the moderated variance; the plain test of the pair stands beside it."""
    frame = trials(
        none=[100.0, 200.0, 300.0], a=[90.0, 195.0, 285.0], b=[80.0, 178.0, 279.0],
        c=[110.0, 204.0, 302.0],
    )  # fmt: skip
    found = Differences()(frame).set_index("strategy")
    values = np.array([found.loc[name, "difference_values"] for name in "abc"])
    variance, df = moderated(values.var(axis=1, ddof=1), np.full(3, 2.0))
    assert found["variance"].to_numpy() == pytest.approx(variance)
    assert found["df"].tolist() == df.tolist() == [3.0] * 3
    half = stats.t.ppf(0.975, df) * np.sqrt(variance / 3)
    assert found["difference_high"].to_numpy() == pytest.approx(values.mean(axis=1) + half)
    p = 2 * stats.t.sf(np.abs(values.mean(axis=1)) / np.sqrt(variance / 3), df)
    assert found["p"].to_numpy() == pytest.approx(p)
    plain = stats.ttest_1samp(values, 0.0, axis=1).pvalue
    assert found["p_plain"].to_numpy() == pytest.approx(plain)
    # What has two pairs is in no family, and borrows nothing.
    two = Differences()(trials(none=[1.0, 2.0, 4.0], a=[1.5, 2.6, 4.4], b=[1.0, 2.5, "failed"]))
    assert two["df"].tolist()[0] == 2.0
    assert two[["variance", "p", "difference_low"]].iloc[1].isna().all()


def test_a_second_name_lends_nothing():
    """A placement under two names is one of the family."""
    values = {"none": [100.0, 200.0, 300.0], "b": [90.0, 195.0, 285.0], "c": [99.0, 202.0, 297.0]}
    once = Differences()(trials(**values)).set_index("strategy")
    twice = Differences()(trials(**values, b_again=values["b"])).set_index("strategy")
    for name in ("variance", "df", "p", "difference_low"):
        assert twice.loc[["b", "c"], name].tolist() == once[name].tolist()
        assert twice.loc["b_again", name] == twice.loc["b", name]


def test_a_second_name_with_more_seeds_has_statistics_of_its_own():
    """Five seeds under one name and three under another are two comparisons, each with its own."""
    none, a = [100.0, 200.0, 300.0, 400.0, 500.0], [90.0, 195.0, 285.0, 395.0, 489.0]
    found = Differences()(trials(none=none, a=a[:3], a_again=a)).set_index("strategy")
    assert found["difference"].tolist() == pytest.approx([-10.0, -9.2])
    middles = (found["difference_low"] + found["difference_high"]) / 2
    assert middles.tolist() == pytest.approx(found["difference"].tolist())
    differences = [np.array(own) for own in found["difference_values"]]
    own = np.array([values.var(ddof=1) for values in differences])
    variance, df = moderated(own, np.array([2.0, 4.0]))
    assert found["variance"].tolist() == pytest.approx(variance)
    assert found["df"].tolist() == pytest.approx(df)
    t = found["difference"].to_numpy() / np.sqrt(variance / np.array([3, 5]))
    assert found["p"].tolist() == pytest.approx(2 * stats.t.sf(np.abs(t), df))
    assert found["p_holm"].tolist() == pytest.approx(holm(found["p"].to_list()))


@pytest.mark.parametrize("seeds", [2, 3, 4])
def test_a_second_name_of_the_baseline_is_not_compared_whatever_seeds_it_has(seeds: int):
    """Fewer seeds than the baseline's, or more: it is in no family."""
    values = {"none": [100.0, 200.0, 300.0], "b": [90.0, 195.0, 285.0], "c": [99.0, 202.0, 297.0]}
    again = [100.0, 200.0, 300.0, 400.0][:seeds]
    once, twice = Differences()(trials(**values)), Differences()(trials(**values, none_again=again))
    assert twice["strategy"].tolist() == ["b", "c"]
    assert twice["p_holm"].tolist() == once["p_holm"].tolist()
    assert paired_rows(trials(**values, none_again=again))["label"].tolist() == ["b", "c"]


def test_differences_leave_out_seeds_without_partner():
    """A seed that diverged on either side makes no pair."""
    frame = trials(none=[100.0, "diverged", 300.0], zaremba=[90.0, 195.0, "failed"])
    row = Differences()(frame).iloc[0]
    assert row["pairs"] == 1
    assert row["difference_values"] == (-10.0,)


def test_what_pairing_bought():
    """Seeds far apart and differences alike: pairing removes most of the variance."""
    frame = trials(none=[100.0, 200.0, 300.0], zaremba=[90.0, 195.0, 285.0])
    values, reference = np.array([90.0, 195.0, 285.0]), np.array([100.0, 200.0, 300.0])
    expected = np.var(values - reference, ddof=1) / (values.var(ddof=1) + reference.var(ddof=1))
    assert Differences()(frame)["variance_ratio"].iloc[0] == pytest.approx(expected)
    two = Differences()(trials(none=[100.0, 200.0], zaremba=[90.0, 195.0]))
    assert math.isnan(two["variance_ratio"].iloc[0])


def test_a_placement_under_two_names_is_one_comparison():
    """Holm's family counts placements, not names: both names get the same adjusted value."""
    values = {"none": [100.0, 200.0, 300.0], "b": [90.0, 195.0, 285.0], "c": [99.0, 202.0, 297.0]}
    once = Differences()(trials(**values)).set_index("strategy")["p_holm"]
    twice = Differences()(trials(**values, b_again=values["b"])).set_index("strategy")["p_holm"]
    assert twice[["b", "c"]].to_dict() == once.to_dict()
    assert twice["b_again"] == twice["b"]


def test_the_baseline_under_another_name_is_not_compared():
    """Trials that are the baseline's own are not tested against themselves."""
    frame = trials(none=[100.0, 200.0, 300.0], none_again=[100.0, 200.0, 300.0])
    assert Differences()(frame).empty


def test_no_baseline_no_differences():
    """Without a finished baseline there are no rows, and the columns stay."""
    frame = Differences()(trials(zaremba=[1.0, 2.0]))
    assert frame.empty
    assert {"difference", "difference_low", "p_holm"} <= set(frame.columns)
    assert baseline_of(trials(zaremba=[1.0])) is None


@pytest.mark.parametrize("statistic", [Summary(("valid_ppl",)), Differences()])
def test_a_seed_never_counts_twice(statistic: Summary | Differences, refused):
    """Two trials of one name and seed are refused, by name, with what to do."""
    frame = trials(none=[200.0, 210.0], zaremba=[190.0, 195.0])
    twice = pd.concat([frame, frame[frame["label"] == "zaremba"].iloc[:1].assign(key="other")])
    with refused(AblateError, given=("zaremba",)):
        statistic(twice)


@pytest.mark.parametrize("statistic", [Summary(("valid_ppl",)), Differences()])
def test_two_placements_are_never_one_mean(statistic: Summary | Differences, refused):
    """Seeds of one name that have different placements are refused."""
    frame = trials(none=[200.0, 210.0], zaremba=[190.0, 195.0])
    frame.loc[3, "placement"] = "another"
    with refused(AblateError, given=("zaremba",)):
        statistic(frame)
