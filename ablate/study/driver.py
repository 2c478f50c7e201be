"""Runs what is missing of a matrix: the one process that writes the store and the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console

from ablate.store import Row, Store, left_out
from ablate.store.about import About
from ablate.study.board import Board
from ablate.study.cohorts import Cohorts
from ablate.study.desk import Desk, Failure, name_of
from ablate.study.entries import Entry, first_names, register
from ablate.study.events import Executor
from ablate.study.progress import Progress
from ablate.study.queue import Queue

RETRIES: Final = 2
_ALONE: Final = Cohorts()


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
            names = {key: name_of(entry) for key, entry in trials.items()}
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
