"""A limit on a run's time: nothing is begun that would not end within it."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ablate.errors import WrongValue
from ablate.study.board import Board
from ablate.study.entries import Entry
from ablate.training.trial import Trial

# Updates are timed for seconds, and a trial takes minutes, in which the machine may slow down.
_MARGIN: Final = 1.1


@dataclass(frozen=True, slots=True)
class Hours:
    """`hours` from now on, and the `seconds` that a trial of each kind was estimated to take.

    Seconds are a trial's share of its cohort's time. What trials of its kind took, in this run or
    in the store, goes before the estimate. A kind that nobody measured is taken for the slowest,
    and a trial that goes on from a checkpoint for a whole one.
    """

    hours: float
    seconds: Mapping[Hashable, float]
    kind: Callable[[Trial], Hashable]
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if not self.hours > 0:
            raise WrongValue("the hours of a run", "a number above 0", self.hours)

    def fits(self, cohort: Sequence[Entry], board: Board, now: float | None = None) -> bool:
        """Whether a cohort that is begun now, on one slot, ends in time."""
        now = time.monotonic() if now is None else now
        takes = sum(self._takes(entry.trial, board) for entry in cohort)
        return now + _MARGIN * takes <= self.began + 3600 * self.hours

    def _takes(self, trial: Trial, board: Board) -> float:
        learnt = board.takes(trial)
        if learnt is not None:
            return learnt
        return self.seconds.get(self.kind(trial), max(self.seconds.values(), default=0.0))
