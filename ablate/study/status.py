"""How far a profile of a study is, read from its store alone."""

from dataclasses import dataclass
from pathlib import Path

from ablate.errors import AblateError
from ablate.store import FAILED, Store, list_results
from ablate.study.file import name_of


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of a profile's trials; each is in one of `ok`, `diverged`, `failed` and `missing`.

    `failed` have a failed attempt and none that ended; `begun` of the failed and missing ones have
    a checkpoint to go on from. `set_aside` are the damaged files found so far, and `damage` names
    in a sentence those that still stand among the others, whose trials count as missing.
    """

    study: str
    profile: str
    ok: int
    diverged: int
    failed: int
    missing: int
    begun: int
    set_aside: tuple[Path, ...]
    damage: str | None = None

    @property
    def total(self) -> int:
        """All trials that were ever asked for, but for those of earlier versions of a strategy."""
        return self.ok + self.diverged + self.failed + self.missing


def status_of(store: Store) -> Status:
    """Count a store's whole trials."""
    store = store.whole()
    named = set(store.cells().column("key").to_pylist())
    ended = {key: row["status"] for key, row in store.committed().items() if key in named}
    rows = store.trials().select(["key", "status"]).to_pylist()
    failed = {row["key"] for row in rows if row["status"] == FAILED} & named - ended.keys()
    statuses = list(ended.values())
    return Status(
        study=store.study,
        profile=store.profile,
        ok=statuses.count("ok"),
        diverged=statuses.count("diverged"),
        failed=len(failed),
        missing=len(named - ended.keys() - failed),
        begun=len(named & set(store.checkpointed()) - ended.keys()),
        set_aside=store.set_aside(),
        damage=store.damage(),
    )


def find_statuses(results: Path, study: str | None, profile: str | None) -> tuple[Status, ...]:
    """The status of every store below `results`, or of one study or profile.

    A study is named as in `ablate run`, also by the path of its file. Raises AblateError where
    there is none.
    """
    study = study and name_of(study)
    found = [
        store
        for store in list_results(results)
        if study in (None, store.study) and profile in (None, store.profile)
    ]
    if not found:
        what = " ".join(filter(None, (study, profile))) or "any study"
        raise AblateError(
            f"there are no results of {what} in '{results}'; `ablate run` writes them, and "
            "`ablate studies` lists what there is to run"
        )
    return tuple(status_of(store) for store in found)
