"""How surely counts speak against a rate: exact tails of their distributions."""

from typing import Final

from scipy.special import betainc, chdtr, chdtrc, ndtr, stdtrit
from scipy.stats import hypergeom

# What chance would do less than once in a million looks is taken for a fact.
SELDOM: Final = 1e-6

# The same in standard errors, where there is no count.
ERRORS: Final = 5.0


def refuted(drops: int, decisions: int, rate: float) -> bool:
    """Whether that many drops or more extreme ones come less often than SELDOM at `rate`."""
    if rate <= 0.0:
        return drops > 0
    if rate >= 1.0:
        return drops < decisions
    if drops > decisions * rate:
        return float(betainc(drops, decisions - drops + 1, rate)) < SELDOM
    if drops < decisions * rate:
        return float(betainc(decisions - drops, drops + 1, 1.0 - rate)) < SELDOM
    return False


def spread_refuted(variance: float, count: int, meant: float) -> bool:
    """Whether the variance of so many values speaks against `meant`: the tails of chi-square."""
    if meant <= 0.0 or count < 2:
        return meant <= 0.0 < variance
    square = count * variance / meant
    return min(float(chdtr(count - 1, square)), float(chdtrc(count - 1, square))) < SELDOM


def few_errors(count: int) -> float:
    """How much wider than its standard error a mean of few values is, by Student's t."""
    return float(stdtrit(max(1, count - 1), ndtr(ERRORS))) / ERRORS


def unseen(rate: float, decisions: float) -> bool:
    """Whether a rate may well show no drop in so many decisions."""
    return (1.0 - rate) ** decisions >= SELDOM


def unlike(drops: int, decisions: int, others: int, of: int) -> bool:
    """Whether two counts speak against one rate: Fisher's exact test, each tail by itself."""
    given = decisions + of, drops + others, of
    tails = hypergeom.cdf(others, *given), hypergeom.sf(others - 1, *given)
    return float(min(tails)) < SELDOM
