"""What a table decides, in a sentence; and how many seeds would decide the rest."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ablate.report.names import names_of
from ablate.report.power import MOST, more_seeds
from ablate.report.verdict import needed, verdict


def rows(**placements: tuple[float, float]) -> pd.DataFrame:
    """A table's rows at three pairs: for each label its difference and p after Holm."""
    return pd.DataFrame(
        {
            "label": list(placements),
            "placement": list(placements),
            "n": 3,
            "valid_pairs": 3,
            "valid_difference": [difference for difference, _ in placements.values()],
            "valid_difference_values": [(difference,) * 3 for difference, _ in placements.values()],
            "valid_p_holm": [p for _, p in placements.values()],
            "valid_variance": 4.0,
            "valid_df": 5.0,
        }
    )


def test_the_sentence_says_what_is_decided_and_what_is_not():
    """Each side by name, then the rest."""
    found = verdict(rows(a=(-3.0, 0.01), b=(5.0, 0.02), c=(0.5, 0.3), d=(-1.0, 0.05)), "none")
    assert found == (
        "Decided at 3 seeds for 2 of 4 placements, by validation perplexity (moderated t test, "
        "Holm's correction, p < .05): lower than none: a; higher than none: b. Not decided: c, d."
    )
    nothing = verdict(rows(c=(0.5, 0.3)), "none")
    assert nothing.startswith("Nothing is decided at 3 seeds: no placement differs from none")
    assert verdict(rows(c=(0.5, 0.3)), None) == ""


def test_a_second_name_is_no_further_placement():
    """Counted is what was compared, as in the table's caption; names are all told."""
    once = rows(a=(-3.0, 0.01), b=(0.5, 0.3))
    twice = pd.concat([once, once.iloc[:1].assign(label="a_again")], ignore_index=True)
    found = verdict(twice, "none")
    assert "for 1 of 2 placements" in found
    assert "lower than none: a, a_again. Not decided: b." in found


def test_one_and_two_seeds_decide_nothing():
    """Without a test the sentence says why."""
    few = rows(a=(-3.0, math.nan))
    assert verdict(few.assign(valid_pairs=1), "none").startswith("One seed shows nothing")
    assert verdict(few.assign(valid_pairs=2), "none").startswith("2 seeds a placement give no")


def test_long_lists_are_counted():
    """Five names, and how many more."""
    assert names_of("abcde") == "a, b, c, d, e"
    assert names_of("abcdefg") == "a, b, c, d, e and 2 more"


def test_needed_orders_by_seeds_and_leaves_out_what_is_decided():
    """The largest difference needs the fewest; none at all is never decided."""
    found = needed(rows(z=(0.0, 1.0), a=(-9.0, 0.001), b=(-2.0, 0.2), c=(4.0, 0.1)), "none")
    assert found.startswith(
        "Seeds that would decide the rest with a probability of .8, were the differences seen "
        "the true ones: c ("
    )
    assert found.index("c (") < found.index("b (") < found.index(f"z (more than {MOST} more)")
    assert "a (" not in found
    assert needed(rows(a=(-9.0, 0.001)), "none") == ""
    assert needed(rows(c=(4.0, 0.1)), None) == ""


@pytest.mark.parametrize(("difference", "level"), [(3.0, 0.05), (3.0, 0.05 / 12), (-1.0, 0.05)])
def test_more_seeds_is_where_the_power_passes(difference: float, level: float):
    """A simulated plain paired t test has power .8 at the number, and less one seed below it."""
    sd, pairs = 2.0, 3
    more = more_seeds(difference, sd**2, pairs, pairs - 1.0, level=level)
    assert more is not None
    rng = np.random.default_rng(3)

    def power(seeds: int) -> float:
        draws = difference + sd * rng.standard_normal((20_000, seeds))
        return float((stats.ttest_1samp(draws, 0.0, axis=1).pvalue < level).mean())

    assert power(pairs + more) >= 0.79
    if more > 1:
        assert power(pairs + more - 1) < 0.81


def test_more_seeds_at_the_ends():
    """A giant difference needs one more, one of zero never ends, and its sign does not matter."""
    assert more_seeds(1e6, 1.0, 3, 2.0, level=0.05) == 1
    assert more_seeds(0.0, 1.0, 3, 2.0, level=0.05) is None
    one, other = (more_seeds(sign * 2.0, 3.0, 3, 4.5, level=0.01) for sign in (1, -1))
    assert one == other


def test_borrowed_degrees_of_freedom_save_seeds():
    """What a family lends lowers the bound, and so the seeds."""
    alone = more_seeds(2.0, 4.0, 3, 2.0, level=0.005)
    lent = more_seeds(2.0, 4.0, 3, 6.0, level=0.005)
    assert alone is not None
    assert lent is not None
    assert lent <= alone
