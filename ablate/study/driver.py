"""Runs what is missing of a study: the one process that writes the store.

What waits is held in memory. It is a function of the study file and of the store, so that a run
that was stopped at any moment has lost nothing but its place in line.
"""

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from ablate.addresses import SEMANTICS
from ablate.status import Status
from ablate.store import OPTIONS, Aside, Row, Store, left_out, unnamed
from ablate.store.about import About
from ablate.study.board import Board
from ablate.study.cohorts import Cohorts
from ablate.study.entries import Entry, first_names, register
from ablate.study.events import Assignment, Event, Executor, Failed, Finished, Paused
from ablate.study.hours import Hours
from ablate.study.listed import Listed
from ablate.study.progress import Progress
from ablate.study.rungs import Rungs, curve_of
from ablate.study.tuning import CURVE, ended_of
from ablate.version import __version__

# How often a trial is begun again whose worker died.
_RETRIES: Final = 2
_ALONE: Final = Cohorts()
_NO_RUNGS: Final = Rungs()

#: Which entries there are, by the rows of the trials that have ended.
Asked = Callable[[Mapping[str, Row]], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that this run gave up: the words under which it is shown, and its last error."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: trials trained in it, how many of them diverged, and those given up.

    `left` are those that were not begun, since they would not have ended in time, and `pruned`
    those that a search stopped.
    """

    trained: int
    diverged: int
    failures: tuple[Failure, ...]
    left: int = 0
    pruned: int = 0


def run(
    entries: Sequence[Entry],
    store: Store,
    executor: Executor,
    *,
    slots: int,
    console: Console,
    cohorts: Cohorts = _ALONE,
    about: About | None = None,
    listed: Listed | None = None,
    agenda: Asked | None = None,
    foreseen: int = 0,
    hours: Hours | None = None,
    rungs: Rungs = _NO_RUNGS,
) -> Summary:
    """Train every trial of `entries` that `store` does not hold; return how that went.

    With an `agenda` those of `entries` are what it knows at first: it is asked again whenever all
    that it knew has ended, and `foreseen` is how many trials there will be. With `hours` nothing is
    begun that would not end in time. `rungs` say where trials of a search may be stopped.

    A trial whose worker dies is begun again on a fresh one, from its checkpoint, twice;
    one that raises is not, because the same numbers would raise again. Trials that failed together
    are each begun again alone, once more than that: one of them may have been the others' bad luck.
    Each failed attempt has its row in the store. Interrupted or killed at any moment, the next call
    goes on from each trial's last saved epoch: its last finished one, or the one before it where
    that one was still being written. A damaged file of the store is set aside with its
    attempt, and its trial is trained again where it is asked for; both are said. `about` is the
    study file that asks, and `listed` what that lists; see `register`. Raises AblateError where
    another driver holds the store, where it cannot be written, and where it is that of another
    study file.
    """
    with store.lock():
        if about is not None:
            store.claim(about)
        aside = store.set_damage_aside()
        store.sweep()
        known = Known(store, entries, listed, agenda, pruned=rungs.pruner != "none")
        for key in known.ended.keys() & set(store.checkpointed()):
            store.discard_work(key)
        known.ask()
        board = Board.of(known.trials, known.ended, slots)
        board.foreseen = foreseen
        progress = Progress(console, board, store.folder)
        desk = Desk(known, cohorts, progress, hours=hours, rungs=rungs)
        missing = desk.advance()
        damaged = aside and f"{aside.said}{known.fate_of(aside)}"
        for note in filter(None, [damaged, left_out(store), unnamed(store)]):
            progress.say(note)
        if missing:
            with progress.shown():
                executor.run(desk.pull, desk.emit)
    return Summary(desk.trained, desk.diverged, tuple(desk.failures), desk.left, desk.pruned)


class Known:
    """What is asked for by the results so far, and those results; the names are in the store."""

    def __init__(
        self,
        store: Store,
        entries: Sequence[Entry],
        listed: Listed | None,
        agenda: Asked | None,
        *,
        pruned: bool,
    ) -> None:
        self.store, self.entries = store, entries
        self._listed, self._agenda = listed, agenda
        self._registered: set[Hashable] = set()
        self.ended = ended_of(store, pruned=pruned)
        # Those under way at a rung come later.
        self.curves = {key: row[CURVE] for key, row in self.ended.items()}
        self.trials: dict[str, Entry] = {}

    def ask(self) -> list[Entry]:
        """Ask what is known by now, register the names, and return the trials that have not ended.

        Each stands under the first of its names.
        """
        if self._agenda is not None:
            self.entries = self._agenda(self.ended)
        new = [entry for entry in self.entries if _name(entry) not in self._registered]
        if new or not self._registered:
            register(new, self.store, self._listed)
        self._registered.update(map(_name, new))
        self.trials = first_names(self.entries)
        return [entry for key, entry in self.trials.items() if key not in self.ended]

    def fate_of(self, aside: Aside) -> str:
        """How the sentence on what was set aside ends: what is trained again, and what is not."""
        # Another attempt at the same trial may be whole.
        lost = aside.keys - self.ended.keys()
        searches = {entry.search for entry in self.entries} - {None}
        rows = [row for row in self.store.cells().to_pylist() if row["key"] in lost]
        # What a search leads to is known only when it has ended.
        later = {row["key"] for row in rows if row["search"] in searches}
        gone = lost - self.trials.keys() - later
        again = ", and what they held is trained again" if lost - gone else ""
        if not gone:
            return again
        names = {row["key"]: f"'{row['label']}', seed {row['seed']}" for row in reversed(rows)}
        listed = "; ".join(dict.fromkeys(names.get(key, f"key {key}") for key in sorted(gone)))
        return (
            f"{again}{', but for' if again else '; not trained again:'} what was asked for with "
            f"other options ({OPTIONS}): {listed}; give them again to train it"
        )


def _name(entry: Entry) -> Hashable:
    return entry.trial.key, entry.label, entry.stage


class Desk:
    """Hands out cohorts and takes events in: first to the store, then to the eye.

    A trial that failed in company, or whose worker died, is handed out alone.
    """

    def __init__(
        self,
        known: Known,
        cohorts: Cohorts,
        progress: Progress,
        *,
        hours: Hours | None = None,
        rungs: Rungs = _NO_RUNGS,
    ) -> None:
        self._known, self._store, self._progress = known, known.store, progress
        self._cohorts, self._hours, self._rungs = cohorts, hours, rungs
        # How many rungs a trial has passed, and what those hold that wait at one.
        self._passed: dict[str, int] = {}
        self._paused: dict[str, Paused] = {}
        self._onward: set[str] = set()
        self._waiting: deque[tuple[Entry, ...]] = deque()
        # Once: whoever holds the lock is the only one who adds to them.
        self._attempts = known.store.last_attempts()
        self._running: dict[str, Entry] = {}
        self._deaths: dict[str, int] = {}
        self._given_up: set[str] = set()
        self.trained = self.diverged = self.pruned = 0
        self.failures: list[Failure] = []

    @property
    def left(self) -> int:
        """How many trials wait that could not end in time."""
        return sum(map(len, self._waiting)) + len(self._paused)

    def advance(self) -> int:
        """Ask what is to be trained by now, and return how many trials of it wait."""
        missing = [e for e in self._known.ask() if e.trial.key not in self._given_up]
        board = self._progress.board
        board.expect(entry for entry in missing if entry.trial.key not in board.names)
        self._waiting.extend(self._cohorts.formed(missing, board.slots))
        return len(missing)

    def pull(self) -> tuple[Assignment, ...]:
        """The next cohort; empty where none waits, or none can end in time."""
        if not (self._waiting or self._running):
            self._leave_rungs()
        if not (self._waiting or self._running):
            self.advance()
        for cohort in self._waiting:
            if self._hours is None or self._hours.fits(cohort, self._progress.board):
                self._waiting.remove(cohort)
                return tuple(self._begun(entry) for entry in cohort)
        return ()

    def _begun(self, entry: Entry) -> Assignment:
        key = entry.trial.key
        self._running[key] = entry
        # Training on from a rung is the same attempt.
        onward = key in self._onward
        self._onward.discard(key)
        self._attempts[key] = self._attempts.get(key, 0) + (not onward)
        until = self._rungs.until(entry, self._passed.get(key, 0))
        return Assignment(entry.trial, self._attempts[key], self._store.work(key), until)

    def emit(self, event: Event) -> None:
        """Keep what came of a trial, and show it."""
        match event:
            case Finished():
                self._commit(event)
            case Paused():
                key = event.assignment.trial.key
                self._paused[key] = event
                self._known.curves[key] = curve_of(event.epochs)
                del self._running[key]
            case Failed():
                self._record(event)
        self._progress.show(event)

    def _leave_rungs(self) -> None:
        """Stop those of the trials that wait at a rung, and let the others train on together."""
        paused, known = self._paused, self._known
        # One that went on from a checkpoint beyond its rung is compared at the rung.
        at = {key: event.assignment.until or 0 for key, event in paused.items()}
        stopped = self._rungs.stopped(at, known.entries, known.curves)
        for key, event in paused.items():
            if key in stopped:
                row = known_before(event.assignment, Status.PRUNED, known.trials[key]) | event.row
                self._write(row, event.epochs, {})
                self._progress.board.stopped(key)
                self.pruned += 1
            else:
                self._passed[key] = self._passed.get(key, 0) + 1
                self._onward.add(key)
        if stopped:
            self._progress.say(f"{len(stopped)} of {len(paused)} trials end at their rung")
        # In the study's order: that in which they paused is the workers' race.
        left = [e for key, e in known.trials.items() if key in paused and key not in stopped]
        self._paused = {}
        self._waiting.extend(self._cohorts.formed(left, self._progress.board.slots))

    def _commit(self, event: Finished) -> None:
        key = event.assignment.trial.key
        row = known_before(event.assignment, event.status, self._running.pop(key)) | event.row
        self._write(row, event.epochs, event.tokens)
        self.trained += 1
        self.diverged += event.status == Status.DIVERGED

    def _write(self, row: Row, epochs: Sequence[Row], tokens: Mapping[str, Any]) -> None:
        key = row["key"]
        self._store.write(row, epochs, tokens)
        self._known.curves[key] = curve = curve_of(epochs)
        self._known.ended[key] = row | {CURVE: curve}
        self._store.discard_work(key)

    def _record(self, event: Failed) -> None:
        key = event.assignment.trial.key
        entry = self._running.pop(key)
        row = known_before(event.assignment, Status.FAILED, entry) | {
            "error": event.error,
            "cohort": event.company,
        }
        self._store.write_failure(row)
        if event.company > 1:
            # It may have been any of them: none is given up for it, and none may do it again.
            again = True
        else:
            self._deaths[key] = self._deaths.get(key, 0) + event.died
            again = event.died and self._deaths[key] <= _RETRIES
        if again:
            self._waiting.append((entry,))
            self._progress.board.waiting[key] = entry.trial
        else:
            self._given_up.add(key)
            self.failures.append(Failure(entry.name, event.error))


def known_before(assignment: Assignment, status: Status, entry: Entry) -> dict[str, Any]:
    """The columns of `trials` that are known without training, which writes none of them."""
    trial = assignment.trial
    return trial.columns() | {
        "pair_key": trial.pair_key,
        "attempt": assignment.attempt,
        "status": status,
        "placement": trial.placement.text,
        "semantics": SEMANTICS,
        "ablate_version": __version__,
        "plugin": entry.plugin,
    }
