"""The difference of two means whose trials are no pairs: Welch's interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablate.report.statistics import LEVEL, SEEDS_FOR_INTERVAL


@dataclass(frozen=True, slots=True)
class Change:
    """A difference of means; `low` and `high` bound its interval and are nan where it has none."""

    mean: float
    low: float = float("nan")
    high: float = float("nan")


def welch(first: Sequence[float], second: Sequence[float]) -> Change:
    """Mean of `second` minus mean of `first`, with the interval of Welch's t (1947).

    Variances may differ; degrees of freedom are Welch and Satterthwaite's. Below three seeds on a
    side, and with infinite values, there is no interval; nan where the difference is unknown.
    """
    both = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    if not all(values.size and np.isfinite(values).all() for values in both):
        return Change(float("nan"))
    mean = float(both[1].mean() - both[0].mean())
    if min(values.size for values in both) < SEEDS_FOR_INTERVAL:
        return Change(mean)
    errors = [float(values.var(ddof=1)) / values.size for values in both]
    if not sum(errors):
        return Change(mean, mean, mean)
    # Each as a share of the sum first: their squares alone may be below every float.
    shares = [error / sum(errors) for error in errors]
    freedom = 1 / sum(
        share**2 / (values.size - 1) for share, values in zip(shares, both, strict=True)
    )
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * float(np.sqrt(sum(errors)))
    return Change(mean, mean - half, mean + half)
