"""Medians of calls that take turns: a busy moment meets every case.

`torch.utils.benchmark` times one statement to its end and then the next, so it serves the ceilings
only, where the best try counts.
"""

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

Key = TypeVar("Key")

# A call is given its number, which an update takes for its own: masks are fresh each time.
Step = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Timing:
    """The median of `repeat` calls in milliseconds.

    `spread` is the width of the middle half of the calls in parts of the median, `first_ms` the
    very first call's time, what it compiled or loaded included, `calls` the time of each call, by
    rounds.
    """

    ms: float
    spread: float
    repeat: int
    first_ms: float
    calls: tuple[float, ...]

    def over(self, count: int) -> "Timing":
        """The timing of one of `count` equal parts of the call."""
        calls = tuple(ms / count for ms in self.calls)
        return Timing(self.ms / count, self.spread, self.repeat, self.first_ms / count, calls)


def summarise(milliseconds: Sequence[float], first_ms: float) -> Timing:
    """The median and the spread of some calls."""
    median, calls = statistics.median(milliseconds), tuple(milliseconds)
    if len(calls) < 2:
        return Timing(median, 0.0, len(calls), first_ms, calls)
    low, _, high = statistics.quantiles(calls, n=4, method="inclusive")
    return Timing(median, (high - low) / median, len(calls), first_ms, calls)


def interleave(
    steps: Mapping[Key, Step],
    *,
    repeat: int,
    warm: int = 2,
    synchronise: Callable[[], object] = lambda: None,
) -> dict[Key, Timing]:
    """Call every step once a round, `warm` rounds unmeasured and then `repeat` measured ones.

    Each round has an order of its own. `synchronise` waits for the device.
    """
    order = list(steps)
    taken: dict[Key, list[float]] = {key: [] for key in order}
    # A step leaves caches and memory to the next. With one neighbour in every round that would be
    # in no spread.
    shuffled = random.Random(0)
    for number in range(warm + repeat):
        gc.collect()
        gc.disable()
        shuffled.shuffle(order)
        try:
            for key in order:
                synchronise()
                began = time.perf_counter()
                steps[key](number)
                synchronise()
                taken[key].append(1e3 * (time.perf_counter() - began))
        finally:
            gc.enable()
    return {key: summarise(every[warm:], every[0]) for key, every in taken.items()}


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent e of times ~ sizes ** e: least squares between their logarithms."""
    x, y = [math.log(size) for size in sizes], [math.log(time) for time in times]
    return statistics.linear_regression(x, y).slope


class Line(NamedTuple):
    """times = fixed + slope * sizes, and the largest deviation from it as a share of the time."""

    fixed: float
    slope: float
    deviation: float


def line(sizes: Sequence[float], times: Sequence[float]) -> Line:
    """The straight line through times by least squares of the relative error."""
    # Dividing both sides by the time weighs each alike: 1 = fixed / time + slope * size / time.
    inverse = [1.0 / time for time in times]
    ratios = [size / time for size, time in zip(sizes, times, strict=True)]
    aa, bb = (sum(x * x for x in each) for each in (inverse, ratios))
    ab = sum(x * y for x, y in zip(inverse, ratios, strict=True))
    a, b = sum(inverse), sum(ratios)
    fixed, slope = (a * bb - b * ab) / (aa * bb - ab * ab), (b * aa - a * ab) / (aa * bb - ab * ab)
    worst = max(abs(fixed * x + slope * y - 1.0) for x, y in zip(inverse, ratios, strict=True))
    return Line(fixed, slope, worst)
