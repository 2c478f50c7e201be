"""Runs what is missing of a matrix: the one process that writes the store and the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

from ablate.masks import SEMANTICS
from ablate.status import Status
from ablate.store import Row, Store, left_out
from ablate.store.about import About
from ablate.study.cohorts import Cohorts
from ablate.study.entries import Entry, first_names, register
from ablate.study.events import Assignment, Event, Executor, Failed, Finished
from ablate.study.progress import Board, Progress
from ablate.study.queue import Queue
from ablate.version import __version__

RETRIES: Final = 2
_ALONE: Final = Cohorts()


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that this run gave up: the words under which it is shown, and its last error."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: trials trained in it, how many of them diverged, and those given up."""

    trained: int
    diverged: int
    failures: tuple[Failure, ...]


def run(
    entries: Sequence[Entry],
    store: Store,
    executor: Executor,
    *,
    slots: int,
    console: Console,
    retries: int = RETRIES,
    cohorts: Cohorts = _ALONE,
    about: About | None = None,
    listed: Sequence[str] | None = None,
) -> Summary:
    """Train every trial of `entries` that `store` does not hold; return how that went.

    A trial whose worker dies is begun again on a fresh one, from its checkpoint, `retries` times;
    one that raises is not, because the same numbers would raise again. Trials that failed together
    are each begun again alone, once more than that: one of them may have been the others' bad luck.
    Each failed attempt has its row in the store. Interrupted or killed at any moment, the next call
    goes on from each trial's last saved epoch: its last finished one, or the one before it where
    that one was still being written. A damaged file of the store is set aside with its
    attempt, which is said, and its trial is trained again. `about` is the study file that asks, and
    `listed` the labels of its points; see `register`. Raises AblateError where another driver holds
    the store, where it cannot be written, and where it is that of another study file.
    """
    with store.lock():
        if about is not None:
            store.claim(about)
        damaged = store.set_damage_aside()
        store.sweep()
        register(entries, store, listed)
        trials = first_names(entries)
        committed = store.committed()
        for key in committed.keys() & set(store.checkpointed()):
            store.discard_work(key)
        with Queue(store.folder) as queue:
            _teach(queue, store, committed, trials)
            missing = [entry for key, entry in trials.items() if key not in committed]
            for cohort in cohorts.formed(missing, slots):
                queue.put(cohort)
            names = {key: entry.name for key, entry in trials.items()}
            board = Board(names, len(trials), len(trials) - len(missing), slots)
            progress = Progress(console, board)
            desk = Desk(store, queue, progress, retries=retries)
            desk.show_notes()
            for note in filter(None, [damaged, left_out(store)]):
                progress.say(note)
            if missing:
                with progress.shown():
                    executor.run(desk.pull, desk.emit)
        desk.show_notes()
    return Summary(desk.trained, desk.diverged, tuple(desk.failures))


def _teach(queue: Queue, store: Store, committed: dict[str, Row], trials: dict[str, Entry]) -> None:
    unknown = committed.keys() - queue.ended()
    if not (queue.mirrored and unknown):
        return
    curves: dict[str, list[Row]] = {key: [] for key in unknown}
    for row in store.epochs().to_pylist():
        if row["key"] in unknown:
            curves[row["key"]].append(row)
    for key in (key for key in committed if key in unknown):
        queue.learn(committed[key], curves[key], trials.get(key))


class Desk:
    """Hands out cohorts and takes events in: first to the store, then to Optuna, then to the eye.

    A trial that failed in company, or whose worker died, is handed out alone.
    """

    def __init__(self, store: Store, queue: Queue, progress: Progress, *, retries: int) -> None:
        self._store, self._queue, self._progress = store, queue, progress
        self._retries = retries
        # Once: whoever holds the lock is the only one who adds to them.
        self._attempts = store.last_attempts()
        self._running: dict[str, Entry] = {}
        self._deaths: dict[str, int] = {}
        self.trained = self.diverged = 0
        self.failures: list[Failure] = []

    def pull(self) -> tuple[Assignment, ...]:
        """The next cohort; empty where none waits."""
        cohort = self._queue.pop()
        self.show_notes()
        return tuple(self._begun(entry) for entry in cohort)

    def _begun(self, entry: Entry) -> Assignment:
        key = entry.trial.key
        self._running[key] = entry
        self._attempts[key] = attempt = self._attempts.get(key, 0) + 1
        return Assignment(entry.trial, attempt, self._store.work(key))

    def emit(self, event: Event) -> None:
        """Keep what came of a trial, and show it."""
        match event:
            case Finished():
                self._commit(event)
            case Failed():
                self._record(event)
        self.show_notes()
        self._progress.show(event)

    def show_notes(self) -> None:
        """Show what the queue has to say."""
        while self._queue.notes:
            self._progress.say(self._queue.notes.pop(0))

    def _commit(self, event: Finished) -> None:
        key = event.assignment.trial.key
        row = known_before(event.assignment, event.status, self._running[key]) | event.row
        self._store.write(row, event.epochs, event.tokens)
        self._queue.finish(row, event.epochs)
        self._store.discard_work(key)
        del self._running[key]
        self.trained += 1
        self.diverged += event.status == Status.DIVERGED

    def _record(self, event: Failed) -> None:
        key = event.assignment.trial.key
        entry = self._running.pop(key)
        row = known_before(event.assignment, Status.FAILED, entry) | {
            "error": event.error,
            "cohort": event.company,
        }
        self._store.write_failure(row)
        self._queue.fail(key, event.error)
        if event.company > 1:
            # It may have been any of them: none is given up for it, and none may do it again.
            again = True
        else:
            self._deaths[key] = self._deaths.get(key, 0) + event.died
            again = event.died and self._deaths[key] <= self._retries
        if again:
            self._queue.put([entry])
        else:
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
