"""Finding what is damaged in a store, and setting it aside where everyone can see it."""

import os
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ablate.errors import AblateError
from ablate.files import sync_folder
from ablate.status import COMMITTED
from ablate.store.attempts import Attempt
from ablate.store.files import BadFile, read_table, unwritable
from ablate.store.schema import ATTEMPT_TABLES, CELLS, TRIALS

BAD: Final = "bad"
CELLS_FILE: Final = "cells.parquet"
EARLIER_FILE: Final = "earlier.parquet"
NAMES_FILES: Final = (CELLS_FILE, EARLIER_FILE)


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not what was written: where it lies, what is wrong, and whose it is."""

    path: Path
    reason: str
    attempt: Attempt | None


def find_damage(folder: Path, tables: Container[str] = ATTEMPT_TABLES) -> tuple[Damage, ...]:
    """Verify every file of `tables` in the store in `folder`, and its names; move nothing.

    `trials` is verified in any case, since its rows say which other files there must be.
    """
    return tuple(_damages(folder, tables))


def lacks_names(folder: Path, file: str) -> bool:
    """Whether this file of names is not there, and must be: names are written before trials."""
    trials = (folder / "trials").glob("[!.]*.parquet")
    return file == CELLS_FILE and not (folder / file).exists() and any(trials)


def set_aside(folder: Path, damages: Iterable[Damage]) -> None:
    """Move damaged files into `bad/` beside the others: for the one process that holds the lock.

    An attempt with one damaged file goes as a whole, its row in `trials` first: a crash in
    between leaves an attempt that was never committed.
    """
    for damage in damages:
        _move(folder, damage)


def describe(folder: Path, damages: Iterable[Damage]) -> str:
    """Name damaged files, what they held and what is wrong with them, in one clause."""
    names = _trial_names(folder)
    return "; ".join(_named(folder, damage, names) for damage in damages)


def _damages(folder: Path, tables: Container[str]) -> Iterator[Damage]:
    for path in (folder / name for name in NAMES_FILES):
        there = path.is_file() or lacks_names(folder, path.name)
        if there and (reason := _fault(path, CELLS)):
            yield Damage(path, reason, None)
    for path in sorted((folder / "trials").glob("[!.]*.parquet")):
        attempt = Attempt.parse(path.name)
        if attempt is None:
            yield Damage(path, "its name is not <key>-<attempt>.parquet", None)
        else:
            yield from _attempt_damages(folder, attempt, tables)


def _attempt_damages(folder: Path, attempt: Attempt, tables: Container[str]) -> Iterator[Damage]:
    path = folder / "trials" / attempt.file
    try:
        rows = read_table(path, TRIALS).to_pylist()
        if [(row["key"], row["attempt"]) for row in rows] != [attempt]:
            raise BadFile("it does not hold the one row that its name promises")
    except BadFile as bad:
        yield Damage(path, str(bad), attempt)
        return
    except FileNotFoundError:
        # Forgotten since the folder was listed: a row that is gone is no damage.
        return
    if rows[0]["status"] not in COMMITTED:
        return
    for table in ("epochs", "tokens"):
        other = folder / table / attempt.file
        if table not in tables or not (reason := _fault(other, ATTEMPT_TABLES[table])):
            continue
        if path.exists():
            yield Damage(other, reason, attempt)


def _fault(path: Path, schema: Any) -> str | None:
    try:
        read_table(path, schema)
    except FileNotFoundError:
        return "it is missing"
    except BadFile as bad:
        return str(bad)
    return None


def _move(folder: Path, damage: Damage) -> None:
    paths = [damage.path]
    if damage.attempt:
        paths = [folder / table / damage.attempt.file for table in reversed(ATTEMPT_TABLES)]
    try:
        for path in filter(Path.exists, paths):
            put_aside(folder, path)
    except OSError as error:
        raise AblateError(
            f"{damage.path} is damaged ({damage.reason}); {unwritable(folder, error)}"
        ) from error


def put_aside(folder: Path, path: Path) -> Path:
    """Move a file of the store in `folder` into `bad/`, under a free name; return where it is."""
    wanted = folder / BAD / path.relative_to(folder)
    wanted.parent.mkdir(parents=True, exist_ok=True)
    target = _free(wanted)
    os.replace(path, target)
    sync_folder(path.parent)
    return target


def _free(path: Path) -> Path:
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}.{number}")
    return candidate


def _trial_names(folder: Path) -> dict[str, str]:
    """For each key the first name under which it is known, as far as `cells.parquet` says."""
    try:
        rows = read_table(folder / CELLS_FILE, CELLS).to_pylist()
    except (BadFile, FileNotFoundError):
        return {}
    return {row["key"]: f"'{row['label']}', seed {row['seed']}" for row in reversed(rows)}


def _named(folder: Path, damage: Damage, names: Mapping[str, str]) -> str:
    held = "the names of the trials" if damage.path.name in NAMES_FILES else "no trial"
    if damage.attempt:
        known = names.get(damage.attempt.key, f"key {damage.attempt.key}")
        held = f"attempt {damage.attempt.number} at {known}"
    return f"{damage.path.relative_to(folder)} ({held}): {damage.reason}"
