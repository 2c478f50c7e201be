"""Two results folders, trial by trial: differences and seconds by hand."""

import math

import pandas as pd
import pytest
from bench.pairs import compare, words


def _frame(precision, perplexities, seconds, **changes):
    return pd.DataFrame(
        {
            "pair_key": [f"p{number}" for number in range(len(perplexities))],
            "precision": precision,
            "status": "ok",
            "valid_ppl": perplexities,
            "test_ppl": perplexities,
            "seconds": seconds,
        }
        | changes
    )


def test_differences_are_relative_and_paired():
    """+1 % and -3 %: a mean of -1 %, whose Student interval has one degree of freedom."""
    a = _frame("fp32", [100.0, 200.0], [30.0, 50.0])
    b = _frame("bf16", [101.0, 194.0], [10.0, 10.0])
    found = compare(a, b)
    assert found.n == 2
    assert found.valid.mean == pytest.approx(-1.0)
    assert found.apart == pytest.approx(3.0)
    assert found.speed == pytest.approx((4.0, 0.1509, 99.42), rel=1e-3)
    told = words(found, {"a": "one", "b": "two"})
    assert told.startswith("2 trials of two (bf16) against the same of one (fp32)\n")
    # Two trials, three and five times as fast, do not tell which folder was the faster one.
    assert "one (fp32) divided by two (bf16): 0.1-99.5" in told


def test_seconds_that_agree_from_trial_to_trial_tell_a_speed():
    """Twice as fast, but for a few percent in each of six trials."""
    a = _frame("fp32", [100.0] * 6, [20.0, 20.2, 19.8, 20.4, 20.0, 19.6])
    found = compare(a, _frame("bf16", [100.0] * 6, [10.0] * 6))
    assert found.speed == pytest.approx((2.0, 1.96, 2.04))
    assert "divided by b (bf16): 2.00 (1.96-2.04)" in words(found, {"a": "a", "b": "b"})


def test_a_trial_under_two_names_counts_once_and_a_failed_one_not_at_all():
    """Rows are names; pairs are trials that ended well on both sides."""
    a = _frame("fp32", [100.0, 200.0, 300.0], [1.0, 1.0, 1.0], status=["ok", "ok", "diverged"])
    b = _frame("bf16", [100.0, 200.0, 300.0], [1.0, 1.0, 1.0])
    found = compare(pd.concat([a, a]), b)
    assert found.n == 2
    assert found.valid.mean == 0.0


def test_one_pair_has_no_interval_and_none_is_an_error():
    """With one pair only its difference is told."""
    a = _frame("fp32", [100.0], [1.0])
    one = compare(a, _frame("bf16", [102.0], [1.0]))
    assert math.isnan(one.valid.half)
    told = words(one, {"a": "one", "b": "two"})
    assert "+2.00 %" in told
    assert told.endswith("one trial has no spread")
    with pytest.raises(ValueError, match="no trial"):
        compare(a, _frame("bf16", [1.0], [1.0], pair_key=["other"]))
