"""The store of one profile of one study: a folder of plain Parquet that loses nothing.

An attempt at a trial writes `tokens`, then `epochs`, then `trials`: *the row in `trials` is the
commit*. What lies in the other two without that row is an attempt that never ended.
"""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ablate.commands import command
from ablate.errors import AblateError, printable
from ablate.files import TEMPORARY
from ablate.status import COMMITTED, Status
from ablate.store.about import About, read_about, refuse_other, write_about
from ablate.store.attempts import Attempt
from ablate.store.files import BadFile, read_table, write_table, writing
from ablate.store.integrity import (
    BAD,
    CELLS_FILE,
    EARLIER_FILE,
    Damage,
    describe,
    find_damage,
    lacks_names,
    set_aside,
)
from ablate.store.lock import exclusive
from ablate.store.schema import (
    ATTEMPT_TABLES,
    CELLS,
    EPOCHS,
    TOKENS,
    TRIALS,
    table_of,
)

Row = dict[str, Any]

WORK: Final = "work"


@dataclass(frozen=True, slots=True)
class Aside:
    """What was found damaged and set aside: a clause, and the keys of the trials that it held."""

    said: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Store:
    """Reads and writes `folder`, which is `results/<study>/<profile>`.

    Every read verifies what it reads and moves nothing: an AblateError names each damaged file, the
    trial that it held and the command that trains it again. `whole()` is the same store with what
    is `damaged` left out.
    """

    folder: Path
    damaged: tuple[Damage, ...] = ()

    @classmethod
    def of(cls, results: Path, study: str, profile: str) -> "Store":
        """The store of a profile of a study below the results folder."""
        return cls(results / study / profile)

    @property
    def study(self) -> str:
        """The study's name."""
        return self.folder.parent.name

    @property
    def profile(self) -> str:
        """The profile's name."""
        return self.folder.name

    # Writing: for the one process that holds the lock.

    def lock(self) -> AbstractContextManager[None]:
        """Hold this store against every other driver; AblateError where another one holds it."""
        return exclusive(self.folder)

    def work(self, key: str) -> Path:
        """The folder in which the trial of this key keeps its checkpoint until it is committed."""
        return self.folder / WORK / key

    def attempts(self, keys: Collection[str]) -> tuple[Attempt, ...]:
        """Every attempt at the trials of `keys` that has a file, ended or not."""
        folders = [self.folder / table for table in ATTEMPT_TABLES]
        found = {a for folder in folders for a in _attempts(folder) if a.key in keys}
        return tuple(sorted(found))

    def last_attempts(self) -> dict[str, int]:
        """The number of the last attempt at each trial, those that were set aside included."""
        folders = [self.folder / table for table in ATTEMPT_TABLES]
        folders += [self.folder / BAD / table for table in ATTEMPT_TABLES]
        # In their order: the last of a key is its highest.
        return dict(sorted(attempt for folder in folders for attempt in _attempts(folder)))

    def write(
        self, trial: Mapping[str, Any], epochs: Iterable[Row], tokens: Mapping[str, np.ndarray]
    ) -> None:
        """Commit an attempt that ended.

        `trial` is its row of `trials` (status "ok", "diverged" or "pruned"); `epochs` are its rows
        of `epochs` without key and attempt; `tokens` gives for each split the float32
        log-probability (nats) of every token in its order, shape `[tokens]`.
        """
        attempt = _attempt_of(trial, COMMITTED)
        rows = [{**row, "key": attempt.key, "attempt": attempt.number} for row in epochs]
        self._write("tokens", attempt, _tokens_table(attempt, tokens))
        self._write("epochs", attempt, table_of(rows, EPOCHS))
        self._write("trials", attempt, table_of([trial], TRIALS))

    def write_failure(self, trial: Mapping[str, Any]) -> None:
        """Record an attempt that failed: a row of `trials` with its error, and nothing else."""
        self._write("trials", _attempt_of(trial, (Status.FAILED,)), table_of([trial], TRIALS))

    def write_cells(self, rows: Iterable[Row], *, earlier: Iterable[Row] = ()) -> None:
        """Add to `cells.parquet` the names under which trials are known; newer rows win.

        `earlier` are known rows whose name has another placement by now: they go from there to
        `earlier.parquet`.
        """
        known, new = self._names(CELLS_FILE).to_pylist(), table_of(rows, CELLS).to_pylist()
        gone = {_identity(row): row for row in earlier}
        # A study whose baseline moved has one all the same: the old one's flag goes.
        present = {combination_of(row): _compared(row) for row in new if row["baseline"]}
        merged = {
            _identity(row): row
            | {
                "baseline": row["baseline"]
                and present.get(combination_of(row), _compared(row)) == _compared(row)
            }
            for row in known
            if _identity(row) not in gone
        }
        merged |= {_identity(row): row for row in new}
        # Before they leave the cells, and for good: a crash between two files loses no name.
        aside = self._names(EARLIER_FILE).to_pylist()
        self._renew(EARLIER_FILE, aside, {_identity(row): row for row in aside} | gone)
        self._renew(CELLS_FILE, known, merged)

    def drop_names(self, rows: Iterable[Row]) -> None:
        """Take these rows out of `cells.parquet` and `earlier.parquet`."""
        gone = {_identity(row) for row in rows}
        for file in (EARLIER_FILE, CELLS_FILE):
            known = self._names(file).to_pylist()
            self._renew(file, known, {_identity(r): r for r in known if _identity(r) not in gone})

    def write_about(self, about: About) -> None:
        """Keep the question and the file of the study that fills this store."""
        write_about(self.folder, about)

    def claim(self, about: About) -> None:
        """Keep the question and the file of the study that is about to fill this store.

        Raises AblateError where the store is that of another study file which is still there: two
        files of one name would fill one folder.
        """
        refuse_other(self.about(), about, self.folder)
        self.write_about(about)

    def set_damage_aside(self) -> Aside | None:
        """Verify every file and move the damaged ones into `bad/`; None where all are whole.

        An attempt with one damaged file goes as a whole. Where the names go, new ones begin.
        """
        damages = find_damage(self.folder)
        if not damages:
            return None
        # Described first, because the names may be among what goes.
        found = describe(self.folder, damages)
        set_aside(self.folder, damages)
        if lacks_names(self.folder, CELLS_FILE):
            write_table(CELLS.empty_table(), self.folder / CELLS_FILE)
        said = f"{len(damages)} damaged file(s), now set aside in {self.folder / BAD}: {found}"
        keys = frozenset(damage.attempt.key for damage in damages if damage.attempt)
        return Aside(printable(f"{said}; everything else is whole"), keys)

    def sweep(self) -> tuple[Attempt, ...]:
        """Clear away what a killed driver left half written; return the attempts it was at."""
        with writing(self.folder):
            for folder in (self.folder, *(self.folder / table for table in ATTEMPT_TABLES)):
                for path in folder.glob(f"{TEMPORARY}*"):
                    path.unlink()
            ended = set(_attempts(self.folder / "trials"))
            orphans: set[Attempt] = set()
            for table in ("tokens", "epochs"):
                for attempt in set(_attempts(self.folder / table)) - ended:
                    (self.folder / table / attempt.file).unlink()
                    orphans.add(attempt)
        return tuple(sorted(orphans))

    def discard_work(self, key: str) -> None:
        """Delete a trial's checkpoint, once the trial is committed."""
        shutil.rmtree(self.work(key), ignore_errors=True)

    # Reading: for everyone, at any time.

    def about(self) -> About | None:
        """The question and the file of the study that filled this store; None where unknown."""
        return read_about(self.folder)

    def command(self, verb: str, *words: str, profile: str | None = None) -> str:
        """The command that does `verb` to this store, or another profile, as a user pastes it."""
        about, results = self.about(), self.folder.parent.parent
        study = about.name if about else self.study
        return command(verb, *words, study=study, profile=profile or self.profile, results=results)

    def check(self) -> None:
        """Verify every file; AblateError that names those that are damaged."""
        if damages := find_damage(self.folder):
            raise self._refusal(damages)

    def whole(self, tables: Iterable[str] = ("trials", "epochs")) -> "Store":
        """This store without what is damaged in `tables`, its attempts as a whole.

        The default tables are those that a report reads.
        """
        return replace(self, damaged=find_damage(self.folder, frozenset(tables)))

    def damage(self) -> str | None:
        """One sentence on the damaged files that this store leaves out; None for none."""
        return self._words(self.damaged) if self.damaged else None

    @property
    def begun(self) -> bool:
        """Whether there is a row of `trials` that a name leads to."""
        named = set(self.cells().column("key").to_pylist())
        return any(attempt.key in named for attempt in self._whole_attempts())

    def trials(self) -> pa.Table:
        """Every row of `trials`, of failed attempts too, by key and attempt."""
        return self._read("trials", self._whole_attempts())

    def _whole_attempts(self) -> list[Attempt]:
        left_out = {damage.attempt for damage in self.damaged}
        return [each for each in _attempts(self.folder / "trials") if each not in left_out]

    def committed(self) -> dict[str, Row]:
        """For each key its committed row: the first attempt that ended, well or diverged.

        One that a search stopped counts where no other ended.
        """
        rows = (row for row in self.trials().to_pylist() if row["status"] in COMMITTED)
        return {row["key"]: row for row in sorted(rows, key=_precedence)}

    def epochs(self) -> pa.Table:
        """The learning curves of all committed trials."""
        return self._read("epochs", self._committed_attempts())

    def tokens(self, keys: Iterable[str] | None = None) -> pa.Table:
        """The log-probability of every token, of the committed trials of `keys` (None: of all)."""
        wanted = None if keys is None else set(keys)
        attempts = [a for a in self._committed_attempts() if wanted is None or a.key in wanted]
        return self._read("tokens", attempts)

    def cells(self) -> pa.Table:
        """The names under which trials are known; empty before the first run."""
        if lacks_names(self.folder, CELLS_FILE) and not self._leaves_out(CELLS_FILE):
            raise self._refusal(find_damage(self.folder))
        return self._names(CELLS_FILE)

    def earlier(self) -> pa.Table:
        """The rows that `cells` had and has no more: names that have another placement by now."""
        named = {_identity(row) for row in self.cells().to_pylist()}
        rows = self._names(EARLIER_FILE).to_pylist()
        return table_of((row for row in rows if _identity(row) not in named), CELLS)

    def unnamed(self) -> tuple[Row, ...]:
        """The rows of committed trials that have no name: those whose file of names was lost."""
        # Before the names, of which a run beside may write more.
        attempts = self._whole_attempts()
        files = (self.cells(), self._names(EARLIER_FILE))
        named = {key for file in files for key in file.column("key").to_pylist()}
        # What has a name is not read.
        lost = [attempt for attempt in attempts if attempt.key not in named]
        rows = self._read("trials", lost).to_pylist()
        return tuple({row["key"]: row for row in rows if row["status"] in COMMITTED}.values())

    def checkpointed(self) -> tuple[str, ...]:
        """The keys of the trials that were begun and not ended, with something to go on from."""
        folder = self.folder / WORK
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
        return tuple(sorted(names))

    def set_aside(self) -> tuple[Path, ...]:
        """The damaged files that were found so far."""
        return tuple(sorted(path for path in (self.folder / BAD).rglob("*") if path.is_file()))

    def _committed_attempts(self) -> list[Attempt]:
        return [Attempt(key, row["attempt"]) for key, row in sorted(self.committed().items())]

    def _read(self, table: str, attempts: Iterable[Attempt]) -> pa.Table:
        schema = ATTEMPT_TABLES[table]
        tables = [part for each in attempts if (part := self._read_one(table, each)) is not None]
        return pa.concat_tables(tables) if tables else schema.empty_table()

    def _read_one(self, table: str, attempt: Attempt) -> pa.Table | None:
        """A file of an attempt; None where the attempt went while the others were read."""
        try:
            return read_table(self.folder / table / attempt.file, ATTEMPT_TABLES[table])
        except (BadFile, FileNotFoundError) as error:
            if not (self.folder / "trials" / attempt.file).exists():
                return None
            raise self._found(error) from error

    def _names(self, file: str) -> pa.Table:
        try:
            return read_table(self.folder / file, CELLS)
        except FileNotFoundError:
            return CELLS.empty_table()
        except BadFile as error:
            if self._leaves_out(file):
                return CELLS.empty_table()
            raise self._found(error) from error

    def _leaves_out(self, file: str) -> bool:
        return any(damage.path.name == file for damage in self.damaged)

    def _found(self, error: Exception) -> AblateError:
        """The error that names every damaged file, where one could not be read."""
        damages = find_damage(self.folder)
        return self._refusal(damages) if damages else AblateError(f"{self.folder}: {error}")

    def _refusal(self, damages: tuple[Damage, ...]) -> AblateError:
        files = tuple(str(damage.path.relative_to(self.folder)) for damage in damages)
        return AblateError(self._words(damages), given=files)

    def _words(self, damages: tuple[Damage, ...]) -> str:
        left_out = ", left out here" if self.damaged else ""
        return printable(
            f"{len(damages)} damaged file(s) in {self.folder}{left_out}: "
            f"{describe(self.folder, damages)}; everything else is whole, and "
            f"`{self.command('run')}` sets them aside and trains again what the study file asks "
            "for of what they held"
        )

    def _renew(self, file: str, known: list[Row], rows: Mapping[Any, Row]) -> None:
        table = table_of(rows.values(), CELLS)
        if table.to_pylist() != known:
            write_table(table, self.folder / file)

    def _write(self, table: str, attempt: Attempt, content: pa.Table) -> None:
        write_table(content, self.folder / table / attempt.file)


def _attempts(folder: Path) -> list[Attempt]:
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(attempt for name in names if (attempt := Attempt.parse(name)))


def _attempt_of(trial: Mapping[str, Any], allowed: tuple[Status, ...]) -> Attempt:
    if trial["status"] not in allowed:
        raise ValueError(f"status must be one of {', '.join(allowed)}, got {trial['status']!r}")
    return Attempt(trial["key"], trial["attempt"])


def _precedence(row: Row) -> tuple[bool, int]:
    """An order in which the row that counts comes last."""
    return row["status"] != Status.PRUNED, -row["attempt"]


def combination_of(row: Row) -> tuple[str, ...]:
    """What a table never mixes, and has one baseline in."""
    return row["corpus_digest"], row["net"], row["recipe"], row["precision"]


def _compared(row: Row) -> tuple[str, str]:
    """What a table has one row of: a point, by its label, or all that a search has tried."""
    return row["strategy"], row["search"] or row["label"]


def _identity(row: Row) -> tuple[str, str, str]:
    return row["key"], row["strategy"], row["arguments"]


def _tokens_table(attempt: Attempt, tokens: Mapping[str, np.ndarray]) -> pa.Table:
    parts = [_split_table(attempt, split, values) for split, values in tokens.items()]
    return pa.concat_tables(parts).combine_chunks() if parts else TOKENS.empty_table()


def _split_table(attempt: Attempt, split: str, log_probs: np.ndarray) -> pa.Table:
    size = len(log_probs)
    same = pa.array(np.zeros(size, np.int32))
    columns = {
        "key": pa.DictionaryArray.from_arrays(same, [attempt.key]),
        "attempt": pa.array(np.full(size, attempt.number, np.int32)),
        "split": pa.DictionaryArray.from_arrays(same, [split]),
        "position": pa.array(np.arange(size, dtype=np.int32)),
        "log_prob": pa.array(np.asarray(log_probs, np.float32)),
    }
    return pa.table(columns, schema=TOKENS)
