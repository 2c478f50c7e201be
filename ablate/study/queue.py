"""Optuna as the queue of a study: which trial is next, which runs, how each one ended.

Only the driver opens Optuna's storage: with one writer SQLite is safe, with several one trial is
taken twice. It holds nothing that the store does not: without it, it is built again from there.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from ablate.errors import AblateError
from ablate.store import FAILED, Row
from ablate.store.integrity import put_aside
from ablate.study.cells import Entry

FILE: Final = "queue.sqlite3"
# Samplers and pruners may hash it: a name that moved with the folder would change their choices.
STUDY_NAME: Final = "ablate"

_RATE: Final = FloatDistribution(0.0, 1.0)
_LEFT_BEHIND: Final = "its run stopped before it ended"
# What SQLite says of a file that may well be whole.
_OUT_OF_REACH: Final = ("locked", "readonly", "unable to open")


class Queue:
    """The queue of one profile of a study, in `folder`; a context manager.

    A trial of Optuna is one attempt: its parameters are the rates of the placement by edge, its
    user attributes `key`, `label`, `seed` and, once it ended, `status`; its value is the valid nll
    (nats per target) at the headline epoch. An attempt that diverged is a failed trial there.
    `notes` are sentences for the user about what was found on opening.
    """

    def __init__(self, folder: Path) -> None:
        self.notes: list[str] = []
        self._path = folder / FILE
        self._waiting: dict[str, Entry] = {}
        self._running: dict[str, Trial] = {}

    def __enter__(self) -> Self:
        self._verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            self._open()
            self._close_stale()
        except Exception as error:  # a broken file raises many kinds, of SQLite, SQLAlchemy, Optuna
            self._set_aside(error)
            self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()
        optuna.logging.set_verbosity(self._verbosity)

    def learn(self, row: Row, curve: Iterable[Row], entry: Entry | None) -> None:
        """Add a committed trial of the store that Optuna does not know."""
        rates = _rates(entry) if entry else {}
        value = _objective(row)
        trial = create_trial(
            state=TrialState.FAIL if value is None else TrialState.COMPLETE,
            value=value,
            params=rates,
            distributions=dict.fromkeys(rates, _RATE),
            user_attrs={
                **(_names(entry) if entry else {"key": row["key"], "seed": row["seed"]}),
                "status": row["status"],
            },
            intermediate_values=_curve(curve),
        )
        self._study.add_trial(trial)

    def ended(self) -> frozenset[str]:
        """The keys of the trials that Optuna knows to have ended, well or diverged."""
        return frozenset(
            trial.user_attrs["key"]
            for trial in self._trials()
            if trial.user_attrs.get("status", FAILED) != FAILED
        )

    def put(self, entry: Entry) -> None:
        """Enqueue a cell behind those that wait."""
        self._study.enqueue_trial(_rates(entry), user_attrs=_names(entry))
        self._waiting[entry.cell.key] = entry

    def waiting(self) -> tuple[str, ...]:
        """The keys of the cells that wait, in their order."""
        return tuple(self._waiting)

    def pop(self, wanted: Callable[[Entry], bool] | None = None) -> Entry | None:
        """The next cell, or the next that is wanted, which runs from now on; None for none."""
        entry = next(filter(wanted or (lambda _: True), self._waiting.values()), None)
        if entry is None:
            return None
        key = entry.cell.key
        number = next(
            trial.number
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            if trial.user_attrs["key"] == key
        )
        identity = self._identity(number)
        # `ask` would take the first that waits, whatever it is.
        self._storage.set_trial_state_values(identity, TrialState.RUNNING)
        trial = Trial(self._study, identity)
        for name in _rates(entry):
            trial.suggest_float(name, _RATE.low, _RATE.high)
        del self._waiting[key]
        self._running[key] = trial
        return entry

    def finish(self, row: Row, curve: Iterable[Row]) -> None:
        """Tell Optuna how the committed attempt `row` of a running cell ended."""
        trial = self._running.pop(row["key"])
        for epoch, nll in _curve(curve).items():
            trial.report(nll, epoch)
        trial.set_user_attr("status", row["status"])
        value = _objective(row)
        self._study.tell(trial, value, state=TrialState.FAIL if value is None else None)

    def fail(self, key: str, reason: str) -> None:
        """Tell Optuna that the running cell failed, and why."""
        self._close(self._running.pop(key).number, reason)

    def _open(self) -> None:
        self._storage = RDBStorage(f"sqlite:///{self._path}")
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=STUDY_NAME,
            load_if_exists=True,
            direction="minimize",
            # Every cell is enqueued with its parameters: nothing is left to sample or to prune.
            sampler=optuna.samplers.RandomSampler(seed=0),
            pruner=optuna.pruners.NopPruner(),
        )

    def _close_stale(self) -> None:
        for trial in self._trials():
            if not trial.state.is_finished():
                self._close(trial.number, _LEFT_BEHIND)

    def _close(self, number: int, reason: str) -> None:
        # Through the storage: a study can tell of trials that run, not of those that wait.
        trial = self._identity(number)
        self._storage.set_trial_user_attr(trial, "status", FAILED)
        self._storage.set_trial_user_attr(trial, "reason", reason)
        self._storage.set_trial_state_values(trial, TrialState.FAIL)

    def _identity(self, number: int) -> int:
        """What the storage calls the trial of this number."""
        study = self._storage.get_study_id_from_name(STUDY_NAME)
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _set_aside(self, error: Exception) -> None:
        with contextlib.suppress(AttributeError):
            self._storage.engine.dispose()
        reason = str(error.__cause__ or error).splitlines()[0]
        if any(words in reason for words in _OUT_OF_REACH):
            raise AblateError(
                f"Optuna's queue {self._path} cannot be opened ({reason}); close whatever else has "
                "it open and make it writable, or delete it: it is built again from the store"
            ) from error
        aside = put_aside(self._path.parent, self._path)
        # SQLite would apply the old file's journal to the new one.
        self._path.with_name(f"{FILE}-journal").unlink(missing_ok=True)
        self.notes.append(
            f"Optuna's queue {self._path} was damaged ({reason}); it was set aside as {aside} and "
            "is built again from the store, which holds every result"
        )


def _rates(entry: Entry) -> dict[str, float]:
    """The rate at each edge; an edge whose layers differ has no single one and is left out."""
    return {
        name: value
        for name, value in entry.cell.placement.row().items()
        if name.endswith(".rate") and value is not None
    }


def _names(entry: Entry) -> dict[str, Any]:
    return {"key": entry.cell.key, "label": entry.label, "seed": entry.cell.seed}


def _objective(row: Row) -> float | None:
    """The valid nll at the headline epoch; None for a trial that diverged."""
    value = row.get(f"valid_nll_{row.get('headline')}")
    usable = row["status"] == "ok" and value is not None and math.isfinite(value)
    return value if usable else None


def _curve(rows: Iterable[Row]) -> dict[int, float]:
    """Valid nll by epoch."""
    return {row["epoch"]: row["valid_nll"] for row in rows if row.get("valid_nll") is not None}
