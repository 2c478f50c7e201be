"""A limit on a run's time: nothing is begun that would not end within it."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ablate.study.entries import Entry
from ablate.training.trial import Trial

# Updates were timed for seconds, and a trial takes minutes, in which the machine may slow down.
_MARGIN: Final = 1.1


@dataclass(frozen=True, slots=True)
class Hours:
    """`hours` from now on, and the seconds that a trial of each kind takes, its share of a cohort.

    A kind that was not measured is taken for the slowest. A trial that goes on from a checkpoint
    is taken for a whole one.
    """

    hours: float
    seconds: Mapping[Hashable, float]
    kind: Callable[[Trial], Hashable]
    began: float = field(default_factory=time.monotonic)

    def fits(self, cohort: Sequence[Entry], now: float | None = None) -> bool:
        """Whether a cohort that is begun now, on one slot, ends in time."""
        now = time.monotonic() if now is None else now
        slowest = max(self.seconds.values(), default=0.0)
        takes = sum(self.seconds.get(self.kind(entry.trial), slowest) for entry in cohort)
        return now + _MARGIN * takes <= self.began + 3600 * self.hours
