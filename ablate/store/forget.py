"""Take points out of a store for good: their names, and the trials that no other name has."""

import shutil
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ablate.errors import UnknownName
from ablate.files import sync_folder
from ablate.status import Status
from ablate.store.about import About, refuse_other
from ablate.store.attempts import Attempt
from ablate.store.files import writing
from ablate.store.labels import completed, spelled
from ablate.store.schema import ATTEMPT_TABLES
from ablate.store.store import Row, Store
from ablate.store.studies import file_of

# Optuna's file, and that of earlier versions: they hold nothing that the store does not.
_QUEUES: Final = ("optuna.journal*", "queue.sqlite3*")


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What is to be forgotten: rows of names, trials by their keys, and all attempts at those.

    `shown` are the rows under which it is told of, `kept` the keys that another name keeps.
    """

    names: tuple[Row, ...]
    keys: frozenset[str]
    attempts: tuple[Attempt, ...]
    shown: tuple[Row, ...]
    kept: frozenset[str] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to forget."""
        return not (self.names or self.keys)


def find_points(store: Store, words: Iterable[str]) -> Forgetting:
    """Find the points whose label or strategy is among `words`, at every seed.

    Earlier versions of them are among what is found. Raises AblateError for a word that names none.
    """
    rows, words = _known(store), frozenset(words)
    _check(store, rows, words)
    chosen = tuple(row for row in rows if _is_named(row, words))
    # A trial may be known under several names, and goes with the last of them.
    others = {row["key"] for row in rows if not _is_named(row, words)}
    keys = frozenset(row["key"] for row in chosen)
    gone = keys - others
    return Forgetting(chosen, gone, store.attempts(gone), chosen, keys & others)


def find_ended_badly(store: Store, words: Iterable[str] = ()) -> Forgetting:
    """Find the trials that diverged, or failed at every attempt; of the points named, if any.

    Their names stay: the next run trains them again.
    """
    rows, words = _known(store), frozenset(words)
    ended = {key: row["status"] for key, row in store.committed().items()}
    trials = store.trials().select(["key", "status"]).to_pylist()
    bad = {
        row["key"] for row in trials if row["status"] == Status.FAILED and row["key"] not in ended
    }
    bad |= {key for key, status in ended.items() if status == Status.DIVERGED}
    if words:
        _check(store, rows, words)
        bad &= {row["key"] for row in rows if _is_named(row, words)}
    shown = tuple(row for row in rows if row["key"] in bad)
    return Forgetting((), frozenset(bad), store.attempts(bad), shown)


def forget(store: Store, found: Forgetting) -> None:
    """Delete what was found: for the one process that holds the lock.

    Rows of `trials` go first: a crash leaves attempts that were never committed. The names go
    last: the same words find what is left.
    """
    with writing(store.folder):
        for path in (path for queue in _QUEUES for path in sorted(store.folder.glob(queue))):
            path.unlink()
        for table in reversed(ATTEMPT_TABLES):
            _delete(store.folder / table, found.attempts)
        for key in sorted(found.keys):
            if store.work(key).exists():
                shutil.rmtree(store.work(key))
    store.drop_names(found.names)


def describe(store: Store, found: Forgetting) -> Iterator[str]:
    """Say what is to be forgotten, in lines."""
    stored = {attempt.key for attempt in found.attempts}
    yield f"of study {store.study}, profile {store.profile}, in {store.folder}:"
    for label, rows in _by_label(found.shown).items():
        seeds = sorted({row["seed"] for row in rows})
        trials = len({row["key"] for row in rows} & stored)
        kept = len({row["key"] for row in rows} & found.kept)
        also = f"; {_trials(kept)} that another name has stay" if kept else ""
        yield f"  {label} (seed {', '.join(map(str, seeds))}): {_trials(trials)}{also}"
    points = len({_point(row) for row in found.names})
    names = f"{points} point{'' if points == 1 else 's'}" if points else "no name"
    yield (
        f"to be deleted for good: {_trials(len(stored))}, with curves, tokens and checkpoints, "
        f"and {names}"
    )


def again(store: Store, found: Forgetting) -> str | None:
    """The sentence on what the next run trains again; None where it is nothing."""
    asked = {row["key"] for row in found.shown if row["asked"] is not False}
    if not asked:
        return None
    return (
        f"the study file asks for {len(asked)} of these trials, as far as the store knows: "
        f"`{store.command('run')}` trains them again unless you take them out of it"
    )


def check_study(store: Store, study: str) -> None:
    """Raise AblateError where `study` is the path of another file than the one that filled it."""
    if path := file_of(study):
        refuse_other(store.about(), About.of(path, ""), store.folder)


def _known(store: Store) -> list[Row]:
    return [*store.cells().to_pylist(), *store.earlier().to_pylist()]


def _is_named(row: Row, words: Set[str]) -> bool:
    return not words.isdisjoint(_names(row))


def _names(row: Row) -> tuple[str, ...]:
    """The words that name a point; the last is what a report writes where labels are equal."""
    arguments = completed(row["strategy"], row["arguments"])
    return row["label"], row["strategy"], spelled(row["label"], arguments)


def _check(store: Store, rows: Sequence[Row], words: Set[str]) -> None:
    known = list(dict.fromkeys(name for row in rows for name in (row["label"], row["strategy"])))
    taken = {name for row in rows for name in _names(row)}
    for word in sorted(words):
        if word not in taken:
            what = f"label or strategy of study '{store.study}' ({store.profile})"
            raise UnknownName(what, word, known)


def _delete(folder: Path, attempts: Sequence[Attempt]) -> None:
    paths = [folder / attempt.file for attempt in attempts]
    there = [path for path in paths if path.exists()]
    for path in there:
        path.unlink()
    if there:
        # Before the files of the next table go: a row never stands without them.
        sync_folder(folder)


def _by_label(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["label"], []).append(row)
    return groups


def _point(row: Row) -> tuple[str, str]:
    return row["strategy"], row["arguments"]


def _trials(count: int) -> str:
    return f"{count} trial" + ("" if count == 1 else "s")
