"""The driver's desk: hands out cohorts, and takes in what comes of them."""

from dataclasses import dataclass
from typing import Any

import ablate
from ablate.masks import SEMANTICS
from ablate.store import FAILED, Store
from ablate.study.entries import Entry
from ablate.study.events import Assignment, Event, Failed, Finished
from ablate.study.progress import Progress
from ablate.study.queue import Queue


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that this run gave up: the words under which it is shown, and its last error."""

    name: str
    error: str


def name_of(entry: Entry) -> str:
    """The words under which a trial is shown."""
    return f"{entry.title}, seed {entry.trial.seed}"


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
        """Show what befell the queue."""
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
        self.diverged += event.status == "diverged"

    def _record(self, event: Failed) -> None:
        key = event.assignment.trial.key
        entry = self._running.pop(key)
        row = known_before(event.assignment, FAILED, entry) | {
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
            self.failures.append(Failure(name_of(entry), event.error))


def known_before(assignment: Assignment, status: str, entry: Entry) -> dict[str, Any]:
    """The columns of `trials` that are known without training, which writes none of them."""
    trial = assignment.trial
    return trial.columns() | {
        "pair_key": trial.pair_key,
        "attempt": assignment.attempt,
        "status": status,
        "placement": trial.placement.text,
        "semantics": SEMANTICS,
        "ablate_version": ablate.__version__,
        "plugin": entry.plugin,
    }
