"""From the separate decisions of an edge to its rate, its kept value, and how sure both are."""

from dataclasses import dataclass

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.findings import Average
from ablate.auditing.probes import Array


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate with its standard error, what was counted for it, and what a kept value is times.

    dropped: None where the rate is inferred; kept: None for a noise, whose mean is `average`; 0
    where nothing was kept.
    """

    rate: float
    error: float
    dropped: int | None
    kept: float | None
    seen: int
    average: Average | None = None


def estimate(decisions: Array, *, missed: float = 0.0, pairs: int = 0) -> Estimate:
    """Read the decisions that were seen (NaN: not seen).

    missed: a rate that was inferred from `pairs` of readers, in place of one that is counted.
    """
    known = decisions[~np.isnan(decisions)]
    if sharing.continuous(decisions):
        return _of_noise(known)
    alive = known[known != 0.0]
    kept = float(np.median(alive)) if alive.size else 0.0
    if missed:
        # A rate that is inferred from how often two others coincide is known half as well.
        return Estimate(missed, 2.0 * _error(missed, pairs), None, kept, pairs)
    dropped = int((known == 0.0).sum())
    rate = dropped / known.size if known.size else 0.0
    return Estimate(rate, _error(rate, max(1, known.size)), dropped, kept, known.size)


def _error(rate: float, count: int) -> float:
    return (max(rate * (1.0 - rate), 1.0 / count) / count) ** 0.5


def _of_noise(known: Array) -> Estimate:
    """A noise of variance v acts as a rate of v / (1 + v) does."""
    mean, variance = float(known.mean()), float(known.var())
    fourth = float(((known - mean) ** 4).mean())
    spread = (max(fourth - variance**2, 0.0) / known.size) ** 0.5
    return Estimate(
        rate=variance / (1.0 + variance),
        error=spread / (1.0 + variance) ** 2,
        dropped=None,
        kept=None,
        seen=known.size,
        average=Average(mean, (variance / known.size) ** 0.5),
    )
