"""What a study file asks as it is now: question, baseline, order, and which placements.

A store keeps what was asked when its trials ran. A file that was edited since is heeded without
another run; what it does not ask for (any more) is shown apart.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ablate.commands import command
from ablate.errors import AblateError, quoted
from ablate.store import Store
from ablate.store.about import About
from ablate.study.file import all_studies, find_question, find_study, shipped_folder
from ablate.study.grid import Point, distinct

Name = tuple[str, str]

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a store's trials.

    `study` is what `ablate run --study` takes. `points` gives for each strategy and its arguments,
    as JSON, the place in the file and the label; None where the store's own word counts, as for a
    store whose file is gone. `notes` are sentences that a reader must know.
    """

    study: str
    question: str | None
    points: Mapping[Name, tuple[int, str]] | None = None
    baseline: str | None = None
    notes: tuple[str, ...] = ()

    def of(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells with `position`, `baseline` and `asked` as the file has them now."""
        if self.points is None:
            return cells
        found = [self.points.get(_name(row)) for row in _rows(cells)]
        later = len(self.points)
        return cells.assign(
            position=[
                point[0] if point else later + position
                for point, position in zip(found, cells["position"], strict=True)
            ],
            baseline=[bool(point) and point[1] == self.baseline for point in found],
            asked=[point is not None for point in found],
        )

    def absent(self, cells: pd.DataFrame) -> str:
        """One sentence: what the file asks for and the store does not know; empty for nothing."""
        known = {_name(row) for row in _rows(cells)}
        labels = [label for name, (_, label) in (self.points or {}).items() if name not in known]
        if not labels:
            return ""
        more = len(labels) - _LISTED
        listed = quoted(labels[:_LISTED]) + (f" and {more} more" if more > 0 else "")
        return f"{listed} of the study file {'has' if len(labels) == 1 else 'have'} not run yet"


def asked_of(store: Store, study: str | None = None) -> Asked:
    """What is asked of a store, by the file that `study` names or the store's own.

    The path of a file is that file, and any other name what `ablate run` takes it for, where that
    is the file which filled the store. Where neither is to be had, the store's own word counts.
    Raises AblateError for the path of a file that has mistakes, and of one that is another study
    of the same name.
    """
    about = store.about()
    kept = Asked(study_of(store), about.question if about else find_question(store.study))
    path = Path(study) if study else None
    if path and path.is_file():
        _refuse_another(path, store, about)
        try:
            return _read(path, store, kept, study=str(path))
        except AblateError as error:
            by_store = command("report", study=store.study, results=_results(store))
            raise AblateError(
                f"{error}\n`{by_store}` reports what the store itself knows of the study"
            ) from error
    own = all_studies().get(store.study)
    if about is None or own is None or not _filled_by(own, about):
        return kept
    try:
        return _read(own, store, kept, study=store.study)
    except AblateError as error:
        words = f"baseline, order and question are those of the last run: {error}"
        return replace(kept, notes=(words,))


def study_of(store: Store) -> str:
    """What `ablate run --study` takes for a store's study: its name, or the path of its file."""
    about, own = store.about(), all_studies().get(store.study)
    if about is None or about.shipped or (own and _filled_by(own, about)):
        return store.study
    return about.path if Path(about.path).is_file() else store.study


def _read(path: Path, store: Store, kept: Asked, *, study: str) -> Asked:
    found, _ = find_study(str(path))
    if store.profile not in found.profiles:
        words = (
            f"{path} has no profile '{store.profile}' by now: baseline and order are the store's"
        )
        return replace(kept, study=study, question=found.question, notes=(words,))
    profile = found.profiles[store.profile]
    points = {
        _point(point): (position, point.label)
        for position, point in enumerate(distinct(profile.strategies))
    }
    return Asked(study, found.question, points, profile.baseline)


def _refuse_another(path: Path, store: Store, about: About | None) -> None:
    """Raise AblateError where another file, which is still there, filled the store."""
    if about is None or _filled_by(path, about):
        return
    filled = shipped_folder() / f"{store.study}.toml" if about.shipped else Path(about.path)
    try:
        same = filled.read_bytes() == path.read_bytes()
    except OSError:
        # It was moved, and this is where to.
        return
    if not same:
        own = store.study if about.shipped else filled
        report = command("report", study=own, profile=store.profile, results=_results(store))
        raise AblateError(
            f"{path} is another study than the one whose results are in {store.folder}, which is "
            f"{filled}: `{report}` reports that one, and yours needs a name of its own to be run"
        )


def _filled_by(path: Path, about: About) -> bool:
    """Whether the file at `path` is the very one that filled a store."""
    resolved = path.resolve()
    if about.shipped:
        return resolved.parent == shipped_folder().resolve()
    return str(resolved) == about.path


def _results(store: Store) -> Path:
    return store.folder.parents[1]


def _rows(cells: pd.DataFrame) -> list[dict]:
    return cells[["strategy", "arguments"]].to_dict("records")


def _name(row: Mapping[str, str]) -> Name:
    return row["strategy"], json.dumps(json.loads(row["arguments"]), sort_keys=True)


def _point(point: Point) -> Name:
    return point.strategy.name, json.dumps(point.arguments, sort_keys=True)
