"""A study's trials in a storage of Optuna's, for its dashboard and its plots.

A run needs no such file: which trial is next follows from the study file and the store, and Optuna
is asked in memory. The file is made from the store whenever somebody wants it.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from ablate.search.sampling import quietly
from ablate.status import Status
from ablate.store import Row
from ablate.strategies import get
from ablate.study.entries import Entry
from ablate.study.job import Job
from ablate.study.tuning import CURVE, ended_of, headline

# Whatever a file may give: a number above 0.
_NUISANCE: Final = FloatDistribution(sys.float_info.min, sys.float_info.max, log=True)

#: The file's name in the store's folder.
FILE: Final = "optuna.journal"

_STATES: Final = {
    Status.OK: TrialState.COMPLETE,
    Status.DIVERGED: TrialState.FAIL,
    Status.PRUNED: TrialState.PRUNED,
}


def rebuild(job: Job) -> tuple[Path, dict[str, int]]:
    """Write the trials of a job into Optuna's journal anew; return its path and trials a study.

    Each strategy, or each search of a tuned profile, is a study of its own, whose parameters are
    the arguments and whose value is the validation loss at the headline epoch (nats per target).
    What has not run yet waits in it; a diverged trial is a failed one. User attributes are `key`,
    `label`, `seed` and `stage`.
    """
    store = job.store.whole()
    ended = ended_of(store, pruned=job.prunes)
    groups: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in job.entries:
        groups[entry.search or entry.strategy].append(entry)
    path = store.folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with quietly():
        storage = JournalStorage(JournalFileBackend(str(path)))
        for name, entries in groups.items():
            study = optuna.create_study(storage=storage, study_name=name)
            for entry in entries:
                _add(study, entry, ended.get(entry.trial.key))
    return path, {name: len(entries) for name, entries in groups.items()}


def _add(study: optuna.Study, entry: Entry, row: Row | None) -> None:
    space = _space(entry)
    params: dict[str, Any] = {name: entry.arguments[name] for name in space}
    attributes = {
        "key": entry.trial.key,
        "label": entry.label,
        "seed": entry.trial.seed,
        "stage": entry.stage,
    }
    if row is None:
        study.enqueue_trial(params, user_attrs=attributes)
        return
    status = Status(row["status"])
    study.add_trial(
        create_trial(
            state=_STATES[status],
            value=headline(row) if status == Status.OK else None,
            params=params,
            distributions=space,
            user_attrs=attributes,
            intermediate_values=row[CURVE],
        )
    )


def _space(entry: Entry) -> dict[str, BaseDistribution]:
    """The distributions of what an entry is called by, wide enough to hold it."""
    own = get(entry.strategy).search_space()
    # Any rate below 1 may stand in a file, and a search covers fewer.
    wide = {n: FloatDistribution(0.0, 1.0) if _rate(d) else d for n, d in own.items()}
    nuisances = [name for name in entry.arguments if "." in name]
    # One distribution a name in all trials of a study, as Optuna wants it.
    return {**wide, **dict.fromkeys(nuisances, _NUISANCE)}


def _rate(own: BaseDistribution) -> bool:
    return isinstance(own, FloatDistribution)
