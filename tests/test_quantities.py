"""Perplexities and times, as numbers and as people read them."""

import math

import pytest

from ablate.quantities import duration, perplexity, perplexity_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.4, "8 s"), (66, "66 s"), (3000, "50 min"), (8000, "2 h 13 min")]
)
def test_times_have_the_unit_that_fits(seconds: float, text: str) -> None:
    """Seconds, minutes, or hours and minutes."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("nll", "text"),
    [(5.0, "148.4"), (12.0, "162,755"), (50.0, "5.2e21"), (1e9, "inf"), (math.inf, "inf")],
)
def test_perplexities_are_short(nll: float, text: str) -> None:
    """No more digits than mean something; one above every float is infinite."""
    assert perplexity_text(perplexity(nll)) == text
