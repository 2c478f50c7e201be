"""What a run stands at: pure bookkeeping over its events, with no terminal in it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ablate.study.events import EpochDone, Event, Failed, Finished, Row, Started


@dataclass(slots=True)
class Running:
    """A trial under way; `row` is its last finished epoch, which took `wall` seconds by the clock.

    In a cohort an epoch's `seconds`, the trial's share, are fewer than that.
    """

    name: str
    epochs: int
    since: float
    row: Row | None = None
    wall: float = 0.0

    @property
    def epoch(self) -> int:
        """The epochs that are finished."""
        return self.row["epoch"] if self.row else 0

    def left(self, now: float | None = None) -> float | None:
        """Seconds to its end, from its last epoch's; None before the first one ended."""
        now = time.monotonic() if now is None else now
        if not self.wall:
            return None
        return max(0.0, (self.epochs - self.epoch) * self.wall - (now - self.since))

    def share(self) -> float:
        """The part of each second that is its own, its companions having the rest."""
        seconds = self.row.get("seconds") if self.row else None
        return min(1.0, seconds / self.wall) if seconds and self.wall else 1.0


@dataclass(slots=True)
class Board:
    """Counts and running trials; `names` maps a key to the words under which it is shown."""

    names: Mapping[str, str]
    total: int
    done: int
    slots: int
    running: dict[str, Running] = field(default_factory=dict)
    failed: int = 0
    spent: list[float] = field(default_factory=list)
    began: float = field(default_factory=lambda: time.monotonic())

    def elapsed(self, now: float | None = None) -> float:
        """Seconds since the run began."""
        return (time.monotonic() if now is None else now) - self.began

    def take(self, event: Event, now: float | None = None) -> None:
        """Bring the board up to this event."""
        now = time.monotonic() if now is None else now
        match event:
            case Started(assignment):
                name = self.names[assignment.trial.key]
                self.running[assignment.trial.key] = Running(
                    name, assignment.trial.recipe.epochs, now
                )
            case EpochDone(assignment, row):
                trial = self.running[assignment.trial.key]
                trial.row, trial.wall, trial.since = row, now - trial.since, now
            case Finished(assignment, _, row):
                self.running.pop(assignment.trial.key, None)
                self.done += 1
                self.spent.append(row.get("seconds") or 0.0)
            case Failed(assignment):
                self.running.pop(assignment.trial.key, None)
                self.failed += 1

    def left(self, now: float | None = None) -> float | None:
        """Seconds to the end of the run, by the mean of the trials that ended in it.

        Each trial counts with its share of its cohort's time, and the slots share the sum.
        """
        now = time.monotonic() if now is None else now
        # A copy, since a terminal asks from a thread of its own while events come in.
        running = list(self.running.values())
        ahead = [(trial.left(now), trial.share()) for trial in running]
        known = [seconds * share for seconds, share in ahead if seconds is not None]
        waiting = self.total - self.done - len(running)
        if self.spent:
            typical = sum(self.spent) / len(self.spent)
        else:
            full = [t.wall * t.share() * t.epochs for t in running if t.row]
            if not full:
                return None
            typical = sum(full) / len(full)
        unknown = (len(ahead) - len(known) + waiting) * typical
        return (sum(known) + unknown) / max(1, self.slots)
