"""The queue of a study: which trials are next, and its mirror in Optuna, without which it goes on.

Only the driver opens Optuna's storage: with one writer SQLite is safe, with several one trial is
taken twice. It holds nothing that the store does not: without it, it is built again from there.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from ablate.store import Row
from ablate.store.integrity import put_aside
from ablate.study.entries import Entry
from ablate.study.mirror import Mirror, damaged, reason

FILE: Final = "queue.sqlite3"

Told = TypeVar("Told")


class Queue:
    """The queue of one profile of a study, in `folder`; a context manager.

    What is next is held in memory. `Mirror` tells Optuna of it, for whoever looks there; where that
    fails (a lock, a full disk, a file that was deleted) it is switched off, and nothing else ends.
    `notes` are sentences for the user that nobody has shown yet.
    """

    def __init__(self, folder: Path) -> None:
        self.notes: list[str] = []
        self._path = folder / FILE
        self._waiting: deque[tuple[Entry, ...]] = deque()
        self._mirror: Mirror | None = None

    def __enter__(self) -> Self:
        try:
            self._mirror = Mirror.open(self._path)
        except Exception as error:  # a broken file raises many kinds, of SQLite, SQLAlchemy, Optuna
            if damaged(error):
                self._begin_anew(error)
            else:
                self._go_without(error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tell(Mirror.close)

    def learn(self, row: Row, curve: Iterable[Row], entry: Entry | None) -> None:
        """Add a committed trial of the store that Optuna does not know."""
        self._tell(lambda mirror: mirror.learn(row, curve, entry))

    @property
    def mirrored(self) -> bool:
        """Whether Optuna is told."""
        return self._mirror is not None

    def ended(self) -> frozenset[str]:
        """The keys of the trials that Optuna knows to have ended, well or diverged."""
        return self._tell(Mirror.ended) or frozenset()

    def put(self, cohort: Sequence[Entry]) -> None:
        """Enqueue trials that are to train together, behind those that wait."""
        self._waiting.append(tuple(cohort))
        for entry in cohort:
            self._tell(lambda mirror, entry=entry: mirror.put(entry))

    def pop(self) -> tuple[Entry, ...]:
        """The next trials that train together, which run from now on; empty where none waits."""
        cohort = self._waiting.popleft() if self._waiting else ()
        for entry in cohort:
            self._tell(lambda mirror, key=entry.trial.key: mirror.start(key))
        return cohort

    def finish(self, row: Row, curve: Iterable[Row]) -> None:
        """Note how the committed attempt `row` of a running trial ended."""
        self._tell(lambda mirror: mirror.finish(row, curve))

    def fail(self, key: str, why: str) -> None:
        """Note that the running trial failed, and why."""
        self._tell(lambda mirror: mirror.fail(key, why))

    def _tell(self, tell: Callable[[Mirror], Told]) -> Told | None:
        """Tell the mirror, or switch it off where it cannot be told."""
        if self._mirror is None:
            return None
        try:
            return tell(self._mirror)
        except Exception as error:
            self._go_without(error)
            return None

    def _begin_anew(self, error: Exception) -> None:
        """Set a damaged file aside, and open a new one."""
        try:
            aside = put_aside(self._path.parent, self._path)
            # SQLite would apply the old file's journal to the new one.
            self._path.with_name(f"{FILE}-journal").unlink(missing_ok=True)
            self._mirror = Mirror.open(self._path)
        except Exception as second:
            self._go_without(second)
            return
        self.notes.append(
            f"Optuna's queue {self._path} was damaged ({reason(error)}); it was set aside as "
            f"{aside} and is built again from the store, which holds every result"
        )

    def _go_without(self, error: Exception) -> None:
        mirror, self._mirror = self._mirror, None
        if mirror is not None:
            with contextlib.suppress(Exception):
                mirror.close()
        self.notes.append(
            f"Optuna's queue {self._path} cannot be used ({reason(error)}): this run goes on "
            "without it, and a later one builds it again from the store, which holds every result"
        )
