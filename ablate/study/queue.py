"""The queue of a study: which trial is next, and its mirror in Optuna, without which it goes on.

Only the driver opens Optuna's storage: with one writer SQLite is safe, with several one trial is
taken twice. It holds nothing that the store does not: without it, it is built again from there.
"""

import contextlib
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from ablate.store import Row
from ablate.store.integrity import put_aside
from ablate.study.cells import Entry
from ablate.study.mirror import Mirror, damaged, reason
from ablate.study.waiting import Waiting

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
        self._waiting = Waiting()
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

    def put(self, entry: Entry, groups: Iterable[Hashable] = ()) -> None:
        """Enqueue a cell behind those that wait, in the `groups` by which it may be asked for."""
        self._waiting.put(entry, groups)
        self._tell(lambda mirror: mirror.put(entry))

    def waiting(self) -> tuple[str, ...]:
        """The keys of the cells that wait, in their order."""
        return self._waiting.keys()

    def pop(self, *groups: Hashable) -> Entry | None:
        """The next cell, or the next of the first of `groups` that has one; it runs from now on."""
        entry = self._waiting.pop(*groups)
        if entry is not None:
            self._tell(lambda mirror: mirror.start(entry.cell.key))
        return entry

    def finish(self, row: Row, curve: Iterable[Row]) -> None:
        """Note how the committed attempt `row` of a running cell ended."""
        self._tell(lambda mirror: mirror.finish(row, curve))

    def fail(self, key: str, why: str) -> None:
        """Note that the running cell failed, and why."""
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
