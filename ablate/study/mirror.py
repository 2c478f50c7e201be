"""The queue of a study in Optuna's tables, where Optuna and its dashboard read it.

Optuna lays the tables out, and SQL fills them, because Optuna's storage has no call for many trials
at once: `Study.add_trials` adds one after the other, and each rate and epoch of each is looked up
before it is written. CPU in ms a trial of ten rates, by Optuna 5.0 on one connection that waits for
no disk:

                                                          3 epochs   13 epochs
    SQL, as here: put, started and ended                      0.40        0.43
    storage calls: put, started and ended                       20          28
    storage calls: one `add_trial` of what has ended            17          23

The third took 196 s for 10,000 trials of three epochs, where SQL took 4.0 s.
Nothing is kept here that the store does not hold.
"""

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from ablate.status import Status
from ablate.store import Row
from ablate.study.entries import Entry

# Samplers and pruners may hash it: a name that moved with the folder would change their choices.
STUDY_NAME: Final = "ablate"

#: Seconds that another process's lock is waited for.
PATIENCE: Final = 3.0

# The distribution of a rate, as Optuna writes it.
_RATE: Final = json.dumps(
    {
        "name": "FloatDistribution",
        "attributes": {"step": None, "low": 0.0, "high": 1.0, "log": False},
    }
)
_LEFT_BEHIND: Final = "its run stopped before it ended"
# What SQLite says of content. All else (a lock, a full disk, a missing right) says nothing of it.
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class Mirror:
    """One connection to the file; what it raises is for its owner to live with.

    A trial of Optuna is one attempt: its parameters are the rates of the placement by edge, its
    user attributes `key`, `label`, `seed` and, once it ended, `status`; its value is the valid nll
    (nats per target) at the headline epoch. An attempt that diverged is a failed trial there.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._study,) = self._one(
            "SELECT study_id FROM studies WHERE study_name = ?", (STUDY_NAME,)
        )
        self._last = self._one("SELECT coalesce(max(trial_id), 0) FROM trials")[0]
        self._next = self._one(
            "SELECT coalesce(max(number), -1) + 1 FROM trials WHERE study_id = ?", (self._study,)
        )[0]
        self._open: dict[str, int] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file at `path`, or make it; trials that a run left open are closed."""
        _reach(path)
        _lay_out(path)
        connection = _connect(path)
        try:
            mirror = cls(connection)
            mirror._close_stale()
        except BaseException:
            connection.close()
            raise
        return mirror

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def ended(self) -> frozenset[str]:
        """The keys of the trials that Optuna knows to have ended, well or diverged."""
        rows = self._connection.execute(
            "SELECT k.value_json, s.value_json FROM trials"
            " JOIN trial_user_attributes k ON k.trial_id = trials.trial_id AND k.key = 'key'"
            " JOIN trial_user_attributes s ON s.trial_id = trials.trial_id AND s.key = 'status'"
            " WHERE study_id = ?",
            (self._study,),
        )
        return frozenset(
            json.loads(key) for key, status in rows if json.loads(status) != Status.FAILED
        )

    def learn(self, row: Row, curve: Iterable[Row], entry: Entry | None) -> None:
        """Add a committed trial of the store that Optuna does not know."""
        names = _names(entry) if entry else {"key": row["key"], "seed": row["seed"]}
        with self._connection:
            trial = self._insert(names, _rates(entry) if entry else {}, "RUNNING")
            self._end(trial, row, curve)

    def put(self, entry: Entry) -> None:
        """Add a trial that waits."""
        with self._connection:
            self._open[entry.trial.key] = self._insert(_names(entry), _rates(entry), "WAITING")

    def start(self, key: str) -> None:
        """Let the waiting trial of this key run."""
        with self._connection:
            self._connection.execute(
                "UPDATE trials SET state = 'RUNNING', datetime_start = ? WHERE trial_id = ?",
                (_now(), self._open[key]),
            )

    def finish(self, row: Row, curve: Iterable[Row]) -> None:
        """Say how the committed attempt `row` of a running trial ended."""
        with self._connection:
            self._end(self._open.pop(row["key"]), row, curve)

    def fail(self, key: str, reason: str) -> None:
        """Say that the running trial failed, and why."""
        with self._connection:
            self._fail(self._open.pop(key), reason)

    def _insert(self, names: Mapping[str, Any], rates: Mapping[str, float], state: str) -> int:
        trial, number = self._last + 1, self._next
        started = _now() if state == "RUNNING" else None
        self._connection.execute(
            "INSERT INTO trials (trial_id, number, study_id, state, datetime_start)"
            " VALUES (?, ?, ?, ?, ?)",
            (trial, number, self._study, state, started),
        )
        self._connection.executemany(
            "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
            " VALUES (?, ?, ?, ?)",
            [(trial, name, rate, _RATE) for name, rate in rates.items()],
        )
        self._set(trial, names)
        # The owner of the lock is the one writer, so that nobody else takes these numbers.
        self._last, self._next = trial, number + 1
        return trial

    def _end(self, trial: int, row: Row, curve: Iterable[Row]) -> None:
        self._connection.executemany(
            "INSERT INTO trial_intermediate_values"
            " (trial_id, step, intermediate_value, intermediate_value_type) VALUES (?, ?, ?, ?)",
            [
                (trial, epoch["epoch"], *_stored(epoch["valid_nll"]))
                for epoch in curve
                if epoch.get("valid_nll") is not None
            ],
        )
        self._set(trial, {"status": row["status"]})
        value = _objective(row)
        if value is not None:
            self._connection.execute(
                "INSERT INTO trial_values (trial_id, objective, value, value_type)"
                " VALUES (?, 0, ?, 'FINITE')",
                (trial, value),
            )
        self._close(trial, "FAIL" if value is None else "COMPLETE")

    def _fail(self, trial: int, reason: str) -> None:
        self._set(trial, {"status": Status.FAILED, "reason": reason})
        self._close(trial, "FAIL")

    def _close(self, trial: int, state: str) -> None:
        self._connection.execute(
            "UPDATE trials SET state = ?, datetime_complete = ? WHERE trial_id = ?",
            (state, _now(), trial),
        )

    def _close_stale(self) -> None:
        left = self._connection.execute(
            "SELECT trial_id FROM trials WHERE study_id = ? AND state IN ('RUNNING', 'WAITING')",
            (self._study,),
        ).fetchall()
        with self._connection:
            for (trial,) in left:
                self._fail(trial, _LEFT_BEHIND)

    def _set(self, trial: int, attributes: Mapping[str, Any]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO trial_user_attributes (trial_id, key, value_json)"
            " VALUES (?, ?, ?)",
            [(trial, name, json.dumps(value)) for name, value in attributes.items()],
        )

    def _one(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        return self._connection.execute(query, values).fetchone()


def damaged(error: BaseException) -> bool:
    """Whether `error`, raised on opening, says that the content cannot be what was written."""
    found = _of_sqlite(error)
    if found is None:
        return not isinstance(error, OSError | ImportError | MemoryError)
    # The low byte is the kind, the rest which of its kind.
    return getattr(found, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in _DAMAGED


def reason(error: BaseException) -> str:
    """What went wrong, in SQLite's words where it was SQLite."""
    words = str(_of_sqlite(error) or error) or type(error).__name__
    return words.splitlines()[0]


def _of_sqlite(error: BaseException) -> sqlite3.Error | None:
    """The error of SQLite below those of Optuna and SQLAlchemy; None where there is none."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, sqlite3.Error):
        below = getattr(below, "orig", None) or below.__cause__
    return below


def _connect(path: Path) -> sqlite3.Connection:
    # By its path and by no URL: a folder may be called `a%20b`, `{x}` or `exp:1`.
    connection = sqlite3.connect(os.path.abspath(path), timeout=PATIENCE)
    # What the power takes here is in the store; a killed process loses nothing by it.
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _reach(path: Path) -> None:
    """Raise what SQLite says of a file that is locked, may not be written, or is damaged."""
    with contextlib.closing(_connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        connection.rollback()
    if found != "ok":
        raise ValueError(found.splitlines()[-1])


def _lay_out(path: Path) -> None:
    """Let Optuna make its tables and the study, or check that they are of its version."""
    import optuna
    from sqlalchemy.pool import StaticPool

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    held: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        held.append(_connect(path))
        return held[-1]

    try:
        storage = optuna.storages.RDBStorage(
            "sqlite://", engine_kwargs={"creator": connect, "poolclass": StaticPool}
        )
        optuna.create_study(
            storage=storage, study_name=STUDY_NAME, load_if_exists=True, direction="minimize"
        )
        storage.remove_session()
    finally:
        for connection in held:
            connection.close()
        optuna.logging.set_verbosity(before)


def _rates(entry: Entry) -> dict[str, float]:
    """The rate at each edge; an edge whose layers differ has no single one and is left out."""
    return {
        name: value
        for name, value in entry.trial.placement.row().items()
        if name.endswith(".rate") and value is not None
    }


def _names(entry: Entry) -> dict[str, Any]:
    return {"key": entry.trial.key, "label": entry.label, "seed": entry.trial.seed}


def _objective(row: Row) -> float | None:
    """The valid nll at the headline epoch; None for a trial that diverged."""
    value = row.get(f"valid_nll_{row.get('headline')}")
    usable = row["status"] == Status.OK and value is not None and math.isfinite(value)
    return value if usable else None


def _stored(value: float) -> tuple[float | None, str]:
    """A number in Optuna's two columns, since not every database holds infinity."""
    if math.isnan(value):
        return None, "NAN"
    if math.isinf(value):
        return None, "INF_POS" if value > 0 else "INF_NEG"
    return value, "FINITE"


def _now() -> str:
    return datetime.now().isoformat(" ", timespec="microseconds")
