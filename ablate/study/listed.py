"""What a study file lists: which names of a store it asks for, and where they stand in its order.

Of the file as it is, whatever part of it a run trains: what `--strategies` and `--set` bring is no
part of what it asks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ablate.stages import FACTORIAL
from ablate.store import Row
from ablate.study.schema import Profile
from ablate.study.searches import search_name


@dataclass(frozen=True, slots=True)
class Listed:
    """The places of a profile's points, by label, and of the first point of its searches, by name.

    `runs` are the labels of those points that are runs of its design, and `places` counts all
    places: whatever is not listed comes after them.
    """

    labels: Mapping[str, int]
    searches: Mapping[str, int]
    runs: frozenset[str]
    places: int

    @classmethod
    def of(cls, profile: Profile) -> "Listed":
        """What a profile of a study file lists."""
        points = profile.points
        each = profile.tune.trials if profile.tune else 0
        searches = {search_name(c): n * each for n, c in enumerate(profile.strategies) if each}
        return cls(
            labels={point.label: place for place, (point, _) in enumerate(points)},
            searches=searches,
            runs=frozenset(point.label for point, stage in points if stage == FACTORIAL),
            places=max(len(points), len(searches) * each),
        )

    def heeded(self, row: Row) -> Row:
        """A row of `cells` as the file has it: asked for or not, and at which place.

        A point that a search drew goes with its search, and any other by its label.
        """
        place = self._place(row)
        if place is not None:
            run = row["search"] is None and row["label"] in self.runs
            stage = FACTORIAL if run else row["stage"]
            return row | {"asked": True, "position": place, "stage": stage}
        if row["asked"] is False:
            return row
        return row | {"asked": False, "position": self.places + row["position"]}

    def _place(self, row: Row) -> int | None:
        if row["search"] is None:
            return self.labels.get(row["label"])
        first = self.searches.get(row["search"])
        return None if first is None else first + row["number"]
