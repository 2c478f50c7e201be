"""From the separate decisions of an edge to its rate, its kept value, and how sure both are."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.probes import Array
from ablate.auditing.tails import few_errors


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of a noise as it was seen, with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How often a decision drops or holds, and what a kept value is multiplied by.

    rate: with its standard error; dropped: how many of the `seen` separate decisions did (None
    where a rate is inferred and not counted); kept: what a kept value is multiplied by (None for a
    noise, whose mean is `average`; 0 where nothing was kept).
    """

    rate: float
    error: float
    dropped: int | None
    kept: float | None
    seen: int
    average: Average | None = None

    @property
    def rarer(self) -> float:
        """How many decisions had the outcome that fewer had."""
        if self.dropped is None:
            return min(self.rate, 1.0 - self.rate) * self.seen
        return min(self.dropped, self.seen - self.dropped)

    def estimated(self) -> dict[str, Any]:
        """The estimate by field, for a value that says more of the same decisions."""
        return {field.name: getattr(self, field.name) for field in fields(Estimate)}


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
        error = 2.0 * _error(missed, pairs)
        return Estimate(rate=missed, error=error, dropped=None, kept=kept, seen=pairs)
    dropped = int((known == 0.0).sum())
    rate = dropped / known.size if known.size else 0.0
    error = _error(rate, max(1, known.size))
    return Estimate(rate=rate, error=error, dropped=dropped, kept=kept, seen=known.size)


def _error(rate: float, count: int) -> float:
    """sqrt(p (1 - p) / n), as if one decision at least had dropped."""
    return (max(rate * (1.0 - rate), 1.0 / count) / count) ** 0.5


def _of_noise(known: Array) -> Estimate:
    """A noise of variance v acts as a rate of v / (1 + v) does."""
    mean, variance = float(known.mean()), float(known.var())
    # Var(v) = (m4 - v^2) / n, and the rate's slope in v is 1 / (1 + v)^2.
    fourth = float(((known - mean) ** 4).mean())
    spread = (max(fourth - variance**2, 0.0) / known.size) ** 0.5
    return Estimate(
        rate=variance / (1.0 + variance),
        error=spread / (1.0 + variance) ** 2,
        dropped=None,
        kept=None,
        seen=known.size,
        average=Average(mean, few_errors(known.size) * (variance / known.size) ** 0.5),
    )
