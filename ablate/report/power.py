"""How many seeds more would decide a difference: the power of the moderated t test."""

import numpy as np
from scipy import special

#: The probability with which a test finds a difference that is there.
POWER = 0.8

#: More seeds than so many more are not counted.
MOST = 100


def more_seeds(
    difference: float, variance: float, pairs: int, df: float, *, level: float
) -> int | None:
    """The fewest seeds beyond `pairs` whose test at `level` finds `difference` with `POWER`.

    `variance` is that of one pair's difference and `df` its degrees of freedom at `pairs`; what of
    them is borrowed (`moderation`) stays as it is. None where more than `MOST` would be needed.
    It takes the difference seen for the true one, so that it plans a study and tests nothing.
    """
    seeds = pairs + np.arange(1, MOST + 1, dtype=np.float64)
    freedom = df - pairs + seeds
    shift = abs(difference) / np.sqrt(variance / seeds)
    bound = special.stdtrit(freedom, 1 - level / 2)
    # Beyond some 30 standard errors the noncentral t leaves its series, and the power is 1.
    shift = np.minimum(shift, bound + 30)
    found = 1 - special.nctdtr(freedom, shift, bound) + special.nctdtr(freedom, shift, -bound)
    enough = np.flatnonzero(found >= POWER)
    return int(enough[0]) + 1 if enough.size else None
