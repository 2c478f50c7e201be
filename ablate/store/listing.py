"""What lies below a results folder: the stores, and how far each is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.commands import command
from ablate.errors import AblateError, did_you_mean
from ablate.status import Status
from ablate.store.files import refuse_file
from ablate.store.integrity import CELLS_FILE
from ablate.store.labels import unnamed
from ablate.store.lock import holder_of
from ablate.store.store import Store
from ablate.store.studies import file_of, name_of
from ablate.store.under_way import read_progress


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of a profile's trials; each is under one status of `ended`, or `missing`.

    Those that `failed` have a failed attempt and none that ended otherwise; `begun` of the failed
    and missing ones have a checkpoint to go on from. `set_aside` are the damaged files found so
    far, and `damage` names in a sentence those that still stand among the others, whose trials
    count as missing. `unnamed` is a sentence on finished trials that no name leads to and that are
    in no count. `holder` is the process that writes the store, where one does, and `under_way`
    what it was at last, as in `progress.json`.
    """

    study: str
    profile: str
    ended: Mapping[str, int]
    missing: int
    begun: int
    set_aside: tuple[Path, ...]
    damage: str | None = None
    unnamed: str | None = None
    holder: str | None = None
    under_way: Mapping[str, Any] | None = None

    @property
    def total(self) -> int:
        """All trials that were ever asked for, but for those of earlier versions of a strategy."""
        return sum(self.ended.values()) + self.missing

    @property
    def columns(self) -> dict[str, int]:
        """Every count under its name, in the order in which a table has them."""
        return {**self.ended, "missing": self.missing, "begun": self.begun, "total": self.total}


def list_results(results: Path) -> tuple[Store, ...]:
    """The stores below a results folder, by study and profile; none where there is no folder."""
    folders = (path for path in results.glob("*/*") if path.is_dir())
    return tuple(Store(folder) for folder in sorted(folders) if _is_store(folder))


def list_stores(
    results: str | Path, study: str | None = None, profile: str | None = None
) -> tuple[Store, ...]:
    """Return the stores below `results`, of one study or one profile where they are named.

    A study is named as in `ablate run`, also by the path of its file. Raises AblateError, saying
    what to run, where that leaves none, and where `results` is a file.
    """
    name = study and name_of(study)
    refuse_file(Path(results))
    found = list_results(Path(results))
    if not found:
        run = command("run", study=study or "placement", results=results)
        raise AblateError(f"there are no results in '{results}'; run `{run}` first")
    studies = sorted({store.study for store in found})
    if name is not None and name not in studies:
        run = command("run", study=study, results=results)
        raise AblateError(
            f"there are no results of a study '{name}' in '{results}', "
            f"only of {', '.join(studies)}{did_you_mean(name, studies)}; run `{run}` first",
            given=name,
            allowed=tuple(studies),
        )
    of_study = [store for store in found if name in (None, store.study)]
    profiles = sorted({store.profile for store in of_study})
    if profile is not None and profile not in profiles:
        raise AblateError(
            f"there are no results of profile '{profile}'"
            + (f" of study '{name}'" if name else "")
            + f" in '{results}', only of {', '.join(profiles)}{did_you_mean(profile, profiles)}"
            f"; run `{of_study[0].command('run', profile=profile)}` first",
            given=profile,
            allowed=tuple(profiles),
        )
    return tuple(store for store in of_study if profile in (None, store.profile))


def open_store(study: str, profile: str | None, results: str | Path) -> Store:
    """Return the one store that study and profile name.

    Raises AblateError where there is none, or several profiles and none was named.
    """
    first, *others = list_stores(results, study, profile)
    if others:
        names = ", ".join(store.profile for store in (first, *others))
        raise AblateError(
            f"study '{study}' has results of several profiles ({names}) and they are never mixed; "
            f'name one: profile="{first.profile}"',
            allowed=tuple(store.profile for store in (first, *others)),
        )
    return first


def named_store(name: str, results: str | Path = "results") -> Store:
    """Return the one store of `STUDY`, `STUDY:PROFILE`, or the path of a folder that holds it.

    A study is named as in `ablate run`, and has its results below `results`; a name that is a study
    there is never taken for a folder. Raises AblateError where there is none, or several.
    """
    known = {store.study for store in list_results(Path(results))}
    study, colon, profile = name.rpartition(":")
    # The path of a file may have a colon, and a name without one has no profile.
    if not colon or name_of(name) in known or file_of(name) or Path(name).is_dir():
        study, profile = name, ""
    if name_of(study) not in known and Path(study).is_dir():
        return _in_folder(Path(study), profile)
    first, *others = list_stores(results, study, profile or None)
    if others:
        profiles = tuple(store.profile for store in (first, *others))
        raise AblateError(
            f"study '{study}' has results of several profiles in '{results}' "
            f"({', '.join(profiles)}) and they are never mixed; name one: {study}:{profiles[0]}",
            given=name,
            allowed=profiles,
        )
    return first


def _in_folder(folder: Path, profile: str) -> Store:
    """The one store that `folder` is or holds, of one profile where it is named."""
    # Absolute: the last two parts of a store's path are its names.
    folder = folder.absolute()
    each = [folder, *sorted(folder.glob("*")), *sorted(folder.glob("*/*"))]
    found = [Store(path) for path in each if path.is_dir() and _is_store(path)]
    found = [store for store in found if profile in ("", store.profile)]
    if len(found) != 1:
        listed = tuple(str(store.folder.relative_to(folder)) for store in found)
        what = f"the results of {', '.join(listed)}" if found else "no results"
        of = f" of profile '{profile}'" if profile and not found else ""
        raise AblateError(
            f"'{folder}' holds {what}{of}; name the folder of one profile, such as "
            f"{folder / listed[0] if found else 'results/placement/quick'}",
            given=str(folder),
            allowed=listed,
        )
    return found[0]


def _is_store(folder: Path) -> bool:
    return (folder / CELLS_FILE).is_file() or (folder / "trials").is_dir()


def count_trials(store: Store) -> Counts:
    """Count a store's whole trials, and say what is under way in it."""
    # First: a run that ends meanwhile leaves nothing that counts as missing.
    holder = holder_of(store.folder)
    under_way = read_progress(store.folder) if holder else None
    store = store.whole()
    named = set(store.cells().column("key").to_pylist())
    ended = {key: row["status"] for key, row in store.committed().items() if key in named}
    rows = store.trials().select(["key", "status"]).to_pylist()
    failed = {row["key"] for row in rows if row["status"] == Status.FAILED} & named - ended.keys()
    statuses = [*ended.values(), *([Status.FAILED] * len(failed))]
    return Counts(
        study=store.study,
        profile=store.profile,
        ended={status.value: statuses.count(status) for status in Status},
        missing=len(named - ended.keys() - failed),
        begun=len(named & set(store.checkpointed()) - ended.keys()),
        set_aside=store.set_aside(),
        damage=store.damage(),
        unnamed=unnamed(store),
        holder=holder,
        under_way=under_way,
    )
