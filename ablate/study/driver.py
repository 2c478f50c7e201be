"""Runs what is missing of a matrix: the one process that writes the store and the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console

import ablate
from ablate.masks import SEMANTICS
from ablate.store import FAILED, Row, Store, left_out
from ablate.study.board import Board
from ablate.study.cells import Entry
from ablate.study.events import Event, Executor, Failed, Finished, Task
from ablate.study.names import columns, register
from ablate.study.progress import Progress
from ablate.study.queue import Queue

RETRIES: Final = 2


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
) -> Summary:
    """Train every cell of `entries` that `store` does not hold; return how that went.

    A trial whose worker dies is begun again on a fresh one, from its checkpoint, `retries` times;
    one that raises is not, because the same numbers would raise again. Each failed attempt has its
    row in the store. Interrupted or killed at any moment, the next call goes on from each trial's
    last finished epoch. Raises AblateError where another driver holds the store, where it cannot be
    written, or where a file in it was damaged (that is set aside, and the next call mends it).
    """
    with store.lock():
        store.check()
        store.sweep()
        register(entries, store)
        cells = first_names(entries)
        committed = store.committed()
        for key in committed.keys() & set(store.checkpointed()):
            store.discard_work(key)
        with Queue(store.folder) as queue:
            _teach(queue, store, committed, cells)
            missing = [entry for key, entry in cells.items() if key not in committed]
            for entry in missing:
                queue.put(entry)
            names = {key: name_of(entry) for key, entry in cells.items()}
            board = Board(names, len(cells), len(cells) - len(missing), slots)
            progress = Progress(console, board)
            for note in filter(None, [*queue.notes, left_out(store)]):
                progress.say(note)
            desk = _Desk(store, queue, progress, names, retries)
            if missing:
                with progress.shown():
                    executor.run(desk.pull, desk.emit)
    return Summary(desk.trained, desk.diverged, tuple(desk.failures))


def first_names(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The distinct cells in their order, each under the first of its names."""
    cells: dict[str, Entry] = {}
    for entry in entries:
        cells.setdefault(entry.cell.key, entry)
    return cells


def name_of(entry: Entry) -> str:
    """The words under which a trial is shown."""
    return f"{entry.label}, seed {entry.cell.seed}"


class _Desk:
    """Hands out tasks and takes events in: first to the store, then to Optuna, then to the eye."""

    def __init__(
        self, store: Store, queue: Queue, progress: Progress, names: dict[str, str], retries: int
    ) -> None:
        self._store, self._queue, self._progress = store, queue, progress
        self._names, self._retries = names, retries
        self._running: dict[str, Entry] = {}
        self._deaths: dict[str, int] = {}
        self.trained = self.diverged = 0
        self.failures: list[Failure] = []

    def pull(self) -> Task | None:
        entry = self._queue.pop()
        if entry is None:
            return None
        key = entry.cell.key
        self._running[key] = entry
        return Task(entry.cell, self._store.next_attempt(key), self._store.work(key))

    def emit(self, event: Event) -> None:
        match event:
            case Finished():
                self._commit(event)
            case Failed():
                self._record(event)
        self._progress.show(event)

    def _commit(self, event: Finished) -> None:
        key = event.task.cell.key
        row = _row(event.task, event.status, self._running[key]) | event.trial
        self._store.write(row, event.epochs, event.tokens)
        self._queue.finish(row, event.epochs)
        self._store.discard_work(key)
        del self._running[key]
        self.trained += 1
        self.diverged += event.status == "diverged"

    def _record(self, event: Failed) -> None:
        key = event.task.cell.key
        entry = self._running.pop(key)
        self._store.write_failure(_row(event.task, FAILED, entry) | {"error": event.error})
        self._queue.fail(key, event.error)
        self._deaths[key] = self._deaths.get(key, 0) + event.died
        if event.died and self._deaths[key] <= self._retries:
            self._queue.put(entry)
        else:
            self.failures.append(Failure(self._names[key], event.error))


def _teach(queue: Queue, store: Store, committed: dict[str, Row], cells: dict[str, Entry]) -> None:
    unknown = committed.keys() - queue.ended()
    if not unknown:
        return
    curves: dict[str, list[Row]] = {key: [] for key in unknown}
    for row in store.epochs().to_pylist():
        if row["key"] in unknown:
            curves[row["key"]].append(row)
    for key in (key for key in committed if key in unknown):
        queue.learn(committed[key], curves[key], cells.get(key))


def _row(task: Task, status: str, entry: Entry) -> dict[str, Any]:
    """The columns of `trials` that are known before training."""
    cell = task.cell
    return columns(cell) | {
        "key": cell.key,
        "pair_key": cell.pair_key,
        "attempt": task.attempt,
        "status": status,
        "placement": cell.placement.text,
        "semantics": SEMANTICS,
        "ablate_version": ablate.__version__,
        "plugin": entry.plugin,
    }
