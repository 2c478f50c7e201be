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
from ablate.facts import canonical_json
from ablate.store import Store
from ablate.store.about import About, refuse_other
from ablate.store.studies import all_studies, file_of, find_question, is_shipped
from ablate.study.file import find_study
from ablate.study.listed import Listed
from ablate.study.searches import baseline_search

Name = tuple[str, str]

_LISTED = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a store's trials.

    `points` gives for each strategy and its arguments, as JSON, the place in the file and the
    label; None where the store's own word counts, as where its file is gone. `searches` gives for
    each search its place in the file; None where the store's own word counts. `notes` are sentences
    that a reader must know.
    """

    question: str | None
    points: Mapping[Name, tuple[int, str]] | None = None
    baseline: str | None = None
    notes: tuple[str, ...] = ()
    searches: Mapping[str, int] | None = None

    def of(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The cells with `position`, `baseline` and `asked` as the file has them now."""
        if self.points is None:
            return cells
        found = [self.points.get(name) for name in _names(cells)]
        later = len(self.points)
        listed = cells.assign(
            position=[
                point[0] if point else later + position
                for point, position in zip(found, cells["position"], strict=True)
            ],
            baseline=[point is not None and point[1] == self.baseline for point in found],
            asked=[point is not None for point in found],
        )
        # No file lists the points of a plan.
        planned = cells["stage"].notna()
        return pd.concat([listed[~planned], self._planned(cells[planned])]).loc[cells.index]

    def _planned(self, cells: pd.DataFrame) -> pd.DataFrame:
        """The points of searches and designs: those of a search go with it."""
        searched = cells["search"].notna()
        if self.searches is None or not searched.any():
            return cells
        places = cells["search"].map(dict(self.searches))
        later = len(self.searches) + cells["position"]
        return cells.assign(
            position=cells["position"].where(~searched, places.fillna(later)).astype(int),
            baseline=cells["baseline"].where(~searched, cells["search"] == self.baseline),
            asked=cells["asked"].where(~searched, places.notna()),
        )

    def absent(self, cells: pd.DataFrame) -> str:
        """One sentence: what the file asks for and the store does not know; empty for nothing."""
        known = set(_names(cells))
        # A search knows its strategy's points under other arguments: with what it draws.
        searched = set(cells.loc[cells["search"].notna(), "strategy"])
        labels = [
            label
            for name, (_, label) in (self.points or {}).items()
            if name not in known and name[0] not in searched
        ]
        if not labels:
            return ""
        more = len(labels) - _LISTED
        listed = quoted(labels[:_LISTED]) + (f" and {more} more" if more > 0 else "")
        return f"{listed} of the study file {'has' if len(labels) == 1 else 'have'} not run yet"


def asked_of(store: Store, study: str | None = None) -> Asked:
    """What is asked of a store, by the file that `study` names or the store's own.

    The path of a file is that file, and any other name the file for which `ablate run` takes it,
    where that is the one which filled the store. Where neither is to be had, the store's own word
    counts. Raises AblateError for the path of a file that has mistakes, and of one that is another
    study of the same name.
    """
    about = store.about()
    kept = Asked(about.question if about else find_question(store.study))
    if path := file_of(study or ""):
        refuse_other(about, About.of(path, ""), store.folder)
        try:
            return _read(path, store, kept)
        except AblateError as error:
            results = store.folder.parents[1]
            kept_by = command("report", study=store.study, profile=store.profile, results=results)
            raise AblateError(
                f"{error}\n`{kept_by}` reports what the store itself knows"
            ) from error
    own = all_studies().get(store.study)
    if about is None or own is None or not _filled_by(own, about):
        return kept
    try:
        return _read(own, store, kept)
    except AblateError as error:
        words = f"baseline, order and question are those of the last run, because {error}"
        return replace(kept, notes=(words,))


def _read(path: Path, store: Store, kept: Asked) -> Asked:
    found, _ = find_study(str(path))
    if store.profile not in found.profiles:
        words = (
            f"{path} has no profile '{store.profile}' by now: baseline and order are the store's"
        )
        return replace(kept, question=found.question, notes=(words,))
    profile = found.profiles[store.profile]
    points = {
        (point.strategy.name, canonical_json(point.facts)): (position, point.label)
        for position, point in enumerate(point for point, _ in profile.points)
    }
    if profile.tune is None:
        return Asked(found.question, points, profile.baseline)
    searches = Listed.of(profile).searches
    return Asked(found.question, points, baseline_search(profile), searches=searches)


def _filled_by(path: Path, about: About) -> bool:
    """Whether the file at `path` is the very one that filled a store."""
    return is_shipped(path) if about.shipped else str(path.resolve()) == about.path


def _names(cells: pd.DataFrame) -> list[Name]:
    pairs = zip(cells["strategy"], cells["arguments"], strict=True)
    return [(str(strategy), canonical_json(json.loads(arguments))) for strategy, arguments in pairs]
