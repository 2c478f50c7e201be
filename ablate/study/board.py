"""How far a run is: its counts, the trials under way, and the seconds that are left."""

import time
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Self

from ablate.store import Row
from ablate.study.entries import Entry
from ablate.study.events import (
    Compiling,
    EpochDone,
    Event,
    Failed,
    Finished,
    Paused,
    Progressed,
    Slot,
    Started,
)
from ablate.study.pace import Kind, Pace, expected
from ablate.training.trial import Trial


@dataclass(slots=True)
class Running:
    """A trial under way, in an epoch that began at `since` and of which `share` was done at `at`.

    `row` is its last finished epoch, which took `wall` seconds by the clock. In a cohort an epoch's
    `seconds`, the trial's share, are fewer than that. `compiling` says what it waits for.
    """

    name: str
    epochs: int
    kind: Hashable
    since: float
    at: float
    done: int = 0
    share: float = 0.0
    company: int = 1
    row: Row | None = None
    wall: float = 0.0
    compiling: str | None = None
    _told: bool = False
    _mark: tuple[float, float] | None = None

    def progressed(self, event: Progressed, key: str, now: float) -> None:
        """Take in how far it is."""
        if not self._told:
            # What went before was no training: the corpus was read.
            self._told, self.since = True, now
        self.done, self.share, self.at = event.epochs[key] - 1, event.share, now
        self.company = len(event.epochs)
        if event.share:
            self.compiling = None
            self._mark = self._mark or (now, event.share)

    def ended_epoch(self, row: Row, now: float) -> None:
        """Take in the row of an epoch that ended."""
        self.row, self.wall, self.since, self.at = row, now - self.since, now, now
        self.done, self.share = row["epoch"], 0.0
        self.compiling = self._mark = None

    def measured(self) -> float | None:
        """Its own seconds an epoch, by the way between two reports within the one under way."""
        if self._mark is None or self.share <= self._mark[1]:
            return None
        return (self.at - self._mark[0]) / (self.share - self._mark[1]) / self.company

    def left(self, now: float, epoch: float | None = None) -> float | None:
        """Seconds to its end by the clock, from its last epoch's; None where nothing is known.

        `epoch` is what one of its kind is expected to take of its own.
        """
        wall = self.wall or (epoch or 0.0) * self.company
        if not wall:
            return None
        return max(0.0, (self.epochs - self.done - self.share) * wall - (now - self.at))

    def weight(self) -> float:
        """The part of each second that is its own, its companions having the rest."""
        seconds = self.row.get("seconds") if self.row else None
        return min(1.0, seconds / self.wall) if seconds and self.wall else 1 / self.company

    def epoch(self) -> str:
        """How far it is, as in `3.4/8`: the epochs that are finished, and tenths of the next."""
        tenths = f".{int(10 * self.share)}" if self.share else ""
        return f"{self.done}{tenths}/{self.epochs}"


@dataclass(slots=True)
class Board:
    """Counts and running trials; `names` maps a key to the words under which it is shown.

    `waiting` are the trials that have not begun, or are begun again, by key. `foreseen` is how many
    trials there will be where some are known only when others have ended.
    """

    names: dict[str, str]
    total: int
    done: int
    slots: int
    waiting: dict[str, Trial] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    running: dict[str, Running] = field(default_factory=dict)
    foreseen: int = 0
    began: float = field(default_factory=lambda: time.monotonic())
    _slot: Slot | None = None
    _kinds: dict[str, Hashable] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Mapping[str, Entry], committed: Mapping[str, Row], slots: int) -> Self:
        """The board of a run of these trials, by key, of which the store holds `committed`."""
        board = cls({}, 0, 0, slots, pace=Pace.of(committed.values()))
        board.expect(entry for key, entry in trials.items() if key not in committed)
        board.names |= {key: entry.name for key, entry in trials.items()}
        board.done = len(trials.keys() & committed.keys())
        board.total += board.done
        return board

    def stopped(self, key: str) -> None:
        """A trial that waited has ended without another epoch."""
        self.waiting.pop(key, None)
        self.done += 1

    def expect(self, entries: Iterable[Entry]) -> None:
        """Count these trials, which have not begun, among those of the run."""
        for entry in entries:
            key = entry.trial.key
            self.names[key], self.waiting[key] = entry.name, entry.trial
            self.total += 1

    def elapsed(self, now: float | None = None) -> float:
        """Seconds since the run began."""
        return (time.monotonic() if now is None else now) - self.began

    def take(self, event: Event, now: float | None = None) -> None:
        """Bring the board up to this event."""
        now = time.monotonic() if now is None else now
        match event:
            case Started(assignment, slot):
                trial = assignment.trial
                self._slot = self._slot or slot
                self.waiting.pop(trial.key, None)
                name, kind = self.names[trial.key], Kind.of(trial, slot)
                self.running[trial.key] = Running(name, trial.recipe.epochs, kind, now, now)
            case Progressed(epochs):
                for key in epochs.keys() & self.running.keys():
                    self.running[key].progressed(event, key, now)
            case Compiling(keys, what):
                for key in set(keys) & self.running.keys():
                    self.running[key].compiling = what
            case EpochDone(assignment, row):
                running = self.running[assignment.trial.key]
                running.ended_epoch(row, now)
                if row.get("seconds"):
                    self.pace.take(running.kind, row["seconds"])
            case Finished(assignment, _, row):
                running = self.running.pop(assignment.trial.key, None)
                if running is not None:
                    self.pace.end(running.kind, row)
                self.done += 1
            case Paused(assignment):
                self.running.pop(assignment.trial.key, None)
                self.waiting[assignment.trial.key] = assignment.trial
            case Failed(assignment):
                self.running.pop(assignment.trial.key, None)

    def left(self, now: float | None = None) -> float | None:
        """Seconds to the end of the run; None before anything is known.

        Each trial counts with its share of its cohort's time, and the slots share the sum.
        """
        now = time.monotonic() if now is None else now
        known = self._known()
        ahead = 0.0
        # Copies: a terminal asks from another thread while events come in.
        for trial in list(self.running.values()):
            seconds = trial.left(now, expected(trial.kind, known))
            if seconds is None:
                return None
            ahead += seconds * trial.weight()
        for key, trial in list(self.waiting.items()):
            epoch = expected(self._kind(key, trial), known)
            if epoch is None:
                return None
            ahead += trial.recipe.epochs * epoch
        ahead += self._later(known)
        return ahead / max(1, self.slots)

    @property
    def all(self) -> int:
        """How many trials there are, those included that are not known yet."""
        return max(self.total, self.foreseen)

    def takes(self, trial: Trial) -> float | None:
        """Seconds of a trial, its share of a cohort's time; None where none of its kind ended."""
        epoch = self.pace.whole().get(self._kind(trial.key, trial))
        return None if epoch is None else trial.recipe.epochs * epoch

    def _later(self, known: Mapping[Hashable, float]) -> float:
        """Seconds of the trials that are not known yet: they are like those that are."""
        epochs = [trial.epochs for trial in list(self.running.values())]
        epochs += [trial.recipe.epochs for trial in list(self.waiting.values())]
        later = self.all - self.total
        return later * fmean(epochs) * fmean(known.values()) if later and epochs else 0.0

    def left_of(self, trials: Iterable[Running], now: float | None = None) -> list[float | None]:
        """Seconds to the end of each of these running trials, by the clock."""
        now = time.monotonic() if now is None else now
        known = self._known()
        return [trial.left(now, expected(trial.kind, known)) for trial in trials]

    def _known(self) -> dict[Hashable, float]:
        """Seconds an epoch by kind; of kinds that no epoch tells of, by what is under way."""
        rough: dict[Hashable, list[float]] = {}
        for trial in list(self.running.values()):
            if measured := trial.measured():
                rough.setdefault(trial.kind, []).append(measured)
        return {kind: fmean(found) for kind, found in rough.items()} | self.pace.known()

    def _kind(self, key: str, trial: Trial) -> Hashable:
        if key not in self._kinds and self._slot is not None:
            self._kinds[key] = Kind.of(trial, self._slot)
        return self._kinds.get(key)


def under_way(board: Board, now: float | None = None) -> dict[str, Any]:
    """The board in plain values, those of `progress.json`; see ablate/store/README.md."""
    running = dict(board.running)
    left = board.left_of(running.values(), now)
    return {
        "done": board.done,
        "total": board.all,
        "elapsed": _rounded(board.elapsed(now)),
        "left": _rounded(board.left(now)),
        "trials": [
            {
                "key": key,
                "name": trial.name,
                "epoch": round(trial.done + trial.share, 3),
                "epochs": trial.epochs,
                "left": _rounded(seconds),
                "compiling": trial.compiling,
            }
            for (key, trial), seconds in zip(running.items(), left, strict=True)
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
