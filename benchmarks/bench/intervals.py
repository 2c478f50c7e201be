"""What the calls say of a number that is made of timings: its bounds, and the digits that it has.

A timing is a value of the JSON. One with the time of each call is paired with another of the same
table round by round, since both met the same moments. One of an earlier file has its median and the
width of its middle half alone.
"""

import itertools
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from scipy import stats

Timing = Mapping[str, Any]

LEVEL: Final = 0.95

# No reader of a bench needs a third decimal, and hardly a machine holds still for one.
_DECIMALS: Final = 2

# Two calls that differ much leave bounds that no float can hold; those beyond e**20 mean nothing.
_LARGEST: Final = 20.0


class Interval(NamedTuple):
    """A value, and the bounds that the calls leave it."""

    value: float
    low: float
    high: float

    def spanning(self, *others: "Interval") -> "Interval":
        """The same value with bounds that hold the others' too."""
        every = (self, *others)
        return Interval(
            self.value, min(each.low for each in every), max(each.high for each in every)
        )


def interval(function: Callable[..., float], *timings: Timing) -> Interval | None:
    """`function` of the milliseconds of timings of one table; None where one is of a single call.

    With the time of each call it is the median over the rounds, with its 95 % interval. Without, it
    is that of the medians, with its extremes where each is off by a factor of up to 1 + 2 w, w the
    width of the middle half: no call of three lies farther above its median.
    """
    if any(timing["repeat"] < 2 for timing in timings):
        return None
    if all("calls" in timing for timing in timings):
        rounds = zip(*(timing["calls"] for timing in timings), strict=True)
        return of_median([function(*each) for each in rounds])
    factors = [1.0 + 2.0 * timing["spread"] for timing in timings]
    middle = [timing["ms"] for timing in timings]
    ends = [(ms / factor, ms * factor) for ms, factor in zip(middle, factors, strict=True)]
    found = [function(*corner) for corner in itertools.product(*ends)]
    return Interval(function(*middle), min(found), max(found))


def of_median(values: Sequence[float]) -> Interval:
    """The median of two values or more with its 95 % interval.

    From six values on the bounds are two of the values. Fewer cannot bound their median so well by
    themselves, and have Student's t interval, of their logarithms where all are positive.
    """
    ordered, count = sorted(values), len(values)
    median = statistics.median(ordered)
    beyond = int(stats.binom.ppf((1.0 - LEVEL) / 2, count, 0.5)) - 1
    if beyond >= 0:
        return Interval(median, ordered[beyond], ordered[-1 - beyond])
    factor = float(stats.t.ppf((1.0 + LEVEL) / 2, count - 1)) / math.sqrt(count)
    if ordered[0] <= 0.0:
        mean, half = statistics.fmean(ordered), factor * statistics.stdev(ordered)
        return Interval(median, mean - half, mean + half)
    logs = [math.log(value) for value in ordered]
    mean, half = statistics.fmean(logs), factor * statistics.stdev(logs)
    low, high = (math.exp(max(-_LARGEST, min(_LARGEST, mean + by))) for by in (-half, half))
    return Interval(median, min(low, median), max(high, median))


def ratio(above: Mapping[str, Timing], below: Mapping[str, Timing]) -> Interval | None:
    """The ratio of two cases, each by the tables that timed it, the first table the one at hand.

    The bounds hold what every table says that timed both. Timings without calls are not paired: one
    of a table that the other case is not in stands against all of the other's.
    """
    calls = all("calls" in timing for case in (above, below) for timing in case.values())
    found = [
        each
        for table, one in above.items()
        for other_table, other in below.items()
        if table == other_table or (not calls and (table not in below or other_table not in above))
        if (each := interval(_over, one, other)) is not None
    ]
    return found[0].spanning(*found[1:]) if found else None


def number(found: Interval | None, *, null: float | None = None) -> str:
    """As in `1.2 (1.08-1.31)`, in as many digits as the bounds support; `-` where there is none.

    Where the bounds hold `null`, the value that says nothing, they stand alone: `0.93-1.05`.
    """
    if found is None:
        return "-"
    if found.low == found.value == found.high:
        return f"{found.value:g}"
    digits = decimals(found)
    # Outwards: what is shown holds what was found.
    fine = min(_DECIMALS, digits + 1)
    low = math.floor(round(found.low * 10**fine, 6)) / 10**fine
    high = math.ceil(round(found.high * 10**fine, 6)) / 10**fine
    between = f"{low:.{fine}f}{' to ' if low < 0 else '-'}{high:.{fine}f}"
    if null is not None and low <= null <= high:
        return between
    # One digit more where rounding would take the value out of its own bounds.
    within = low <= round(found.value, digits) <= high
    return f"{found.value:.{digits if within else fine}f} ({between})"


def percent(found: Interval | None) -> str:
    """As in `3%`, or in `2-4%` where the bounds round to different percents."""
    if found is None:
        return "-"
    low, high = f"{found.low:.0%}", f"{found.high:.0%}"
    return low if low == high else f"{low.rstrip('%')}-{high}"


def decimals(found: Interval) -> int:
    """How many decimals are no finer than half of the interval; two at most."""
    half = (found.high - found.low) / 2
    return _DECIMALS if half <= 0.0 else max(0, min(_DECIMALS, math.ceil(-math.log10(half))))


def _over(one: float, other: float) -> float:
    return one / other
