"""The trials of a tuned profile: every strategy's search, and then the seeds of what it chose.

Which trials there are is a function of the profile and of the results so far. Every strategy gets
the same number of points of its own space, trained on one seed; the point of the lowest validation
loss is then trained on seeds that the search has not seen, or else the winner's luck would enter
the table (Melis 2018, arXiv:1707.05589; Dodge 2019, arXiv:1909.03004).
"""

import functools
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from optuna.distributions import FloatDistribution

from ablate.data.corpora import Corpus
from ablate.model.net import Net
from ablate.search.sampling import LEARNS, Tried, cube, propose
from ablate.search.space import Space
from ablate.stages import SEARCH, THEN
from ablate.status import Status
from ablate.store import Row, Store
from ablate.strategies import get
from ablate.strategies.parameters import Value
from ablate.study.entries import Entry, Maker
from ablate.study.points import Choice, Point
from ablate.study.rungs import curve_of
from ablate.study.schema import Profile, Tune
from ablate.study.searches import baseline_search, lowest, search_name, value_of
from ablate.training.recipe import Recipe

#: The key of a row under which the agenda finds the trial's curve.
CURVE: Final = "curve"

#: The number of the default point, which is tried first.
DEFAULT: Final = 0

# A label with more signs than this is a number instead.
_LONGEST: Final = 60


@dataclass(frozen=True)
class Search:
    """The search of one strategy in one net: its arguments, but for those that the file pins."""

    choice: Choice
    net: Net
    tune: Tune
    recipe: Recipe

    @functools.cached_property
    def name(self) -> str:
        """The strategy's name, and what is pinned: `recurrent sharing=window`."""
        return search_name(self.choice)

    @functools.cached_property
    def space(self) -> Space:
        """What is drawn."""
        pinned = self._pinned
        strategy = get(self.choice.name)
        own = {n: d for n, d in strategy.search_space().items() if n not in pinned}
        nuisances = {
            path: FloatDistribution(low, high, log=True)
            for path, (low, high) in self.tune.over.items()
        }
        default = strategy.arguments(**pinned)
        start = {path: float(value_of(self.recipe, path)) for path in nuisances}
        return Space(own, nuisances, {**{name: default[name] for name in own}, **start})

    @property
    def count(self) -> int:
        """How many points it tries: one where there is nothing to draw."""
        return self.tune.trials if self.space.distributions else 1

    def point(self, drawn: Mapping[str, Value]) -> Point:
        """The point that was drawn; what is the recipe's own is no nuisance of it."""
        own = {
            name: value
            for name, value in drawn.items()
            if name not in self.tune.over or value != value_of(self.recipe, name)
        }
        return Point.of(self.choice.name, {**self._pinned, **own})

    @property
    def _pinned(self) -> dict[str, Value]:
        return {name: values[0] for name, values in self.choice.grid}


def searches(profile: Profile) -> list[Search]:
    """The searches of a tuned profile: net by net, in the file's order."""
    assert profile.tune is not None
    return [
        Search(choice, net, profile.tune, profile.recipe.of(net))
        for net in profile.net.each
        for choice in profile.strategies
    ]


@dataclass(slots=True)
class _Line:
    """The points of a search that are known so far, and the results that led to them."""

    entries: list[Entry] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)


@dataclass(frozen=True)
class Agenda:
    """All trials of a tuned profile that are known by what has ended.

    One is asked again and again with the rows of more and more trials: what it has derived, it
    keeps. A new one with the same rows derives the same.
    """

    profile: Profile
    corpus: Corpus
    study: str

    def __call__(self, ended: Mapping[str, Row]) -> list[Entry]:
        """The entries known by the rows of trials that ended, by their keys.

        Those of searches come first, number by number, so that a run that stops early has tried as
        much of each strategy; the seeds of chosen points come last.
        """
        tried = [list(self._tried(search, line, ended)) for search, line in self._lines]
        # Where a draw repeats a point, the point has the number of its first one.
        rounds = [
            entry
            for entries in tried
            for entry in {each.trial.key: each for each in reversed(entries)}.values()
        ]
        later = [
            entry
            for (search, _), entries in zip(self._lines, tried, strict=True)
            if (chosen := chosen_of(entries, ended, search.count)) is not None
            for entry in self._later(chosen)
        ]
        return [
            *sorted(rounds, key=lambda entry: entry.number or 0),
            *sorted(later, key=lambda entry: entry.trial.seed),
        ]

    @property
    def total(self) -> int:
        """How many names it will have when all has ended."""
        later = len(self.profile.seeds) - 1
        return sum(search.count + later for search, _ in self._lines)

    @functools.cached_property
    def _lines(self) -> list[tuple[Search, _Line]]:
        return [(search, _Line()) for search in searches(self.profile)]

    @functools.cached_property
    def _maker(self) -> Maker:
        return Maker(self.profile, self.corpus)

    def _tried(self, search: Search, line: _Line, ended: Mapping[str, Row]) -> Iterator[Entry]:
        """The points that are known, up to the first that waits for results."""
        for number in range(search.count):
            if number == len(line.entries):
                line.entries.append(self._entry(search, line, number))
            entry = line.entries[number]
            yield entry
            if search.tune.sampler not in LEARNS:
                continue
            if entry.trial.key not in ended:
                return
            if number == len(line.tried):
                row = ended[entry.trial.key]
                line.tried.append(_result(search, entry, row, len(self.corpus.vocabulary)))

    def _entry(self, search: Search, line: _Line, number: int) -> Entry:
        point = search.point(self._drawn(search, line, number))
        place = self.profile.strategies.index(search.choice) * search.tune.trials + number
        entry = self._maker.entry(point, search.net, search.tune.seed, place)
        return replace(
            entry,
            label=entry.label if len(entry.label) <= _LONGEST else f"{search.name} #{number}",
            shared=search.recipe,
            stage=SEARCH,
            search=search.name,
            number=number,
            sampler=search.tune.sampler,
            baseline=search.name == self._baseline,
        )

    def _drawn(self, search: Search, line: _Line, number: int) -> Mapping[str, Value]:
        sampler = search.tune.sampler
        if number == DEFAULT:
            return search.space.default
        if sampler in LEARNS:
            return propose(search.space, sampler, self.study, search.name, line.tried)
        coordinates = _cube(sampler, self.study, search.tune.trials - 1)
        return search.space.at(*coordinates[number - 1])

    def _later(self, chosen: Entry) -> Iterator[Entry]:
        for seed in self.profile.seeds[1:]:
            yield replace(chosen, trial=replace(chosen.trial, seed=seed), stage=THEN)

    @functools.cached_property
    def _baseline(self) -> str | None:
        return baseline_search(self.profile)


def chosen_of(tried: Sequence[Entry], ended: Mapping[str, Row], count: int) -> Entry | None:
    """The point that the search chose; None while one has not ended, and where none ended well."""
    if len(tried) < count or any(entry.trial.key not in ended for entry in tried):
        return None
    rows = [(entry, ended[entry.trial.key]) for entry in tried]
    place = lowest({n: headline(row) for n, (_, row) in enumerate(rows) if _good(row)})
    return None if place is None else tried[place]


def ended_of(store: Store, *, pruned: bool) -> dict[str, Row]:
    """The rows of trials that ended, by key, each with its curve: all that an agenda looks at.

    Where nothing is `pruned` any more, a trial that once was has not ended.
    """
    epochs: defaultdict[str, list[Row]] = defaultdict(list)
    for row in store.epochs().to_pylist():
        epochs[row["key"]].append(row)
    return {
        key: row | {CURVE: curve_of(epochs[key])}
        for key, row in store.committed().items()
        if pruned or row["status"] != Status.PRUNED
    }


def headline(row: Row) -> float:
    """The validation loss that counts: nats per target at the headline epoch."""
    return float(row[f"valid_nll_{row['headline']}"])


@functools.cache
def _cube(sampler: str, study: str, count: int) -> list[tuple[list[float], list[float]]]:
    return cube(sampler, study, count)


def _good(row: Row) -> bool:
    return row["status"] == Status.OK


def _result(search: Search, entry: Entry, row: Row, words: int) -> Tried:
    """What a sampler is told: a diverged trial knows no more of a text than a uniform guess."""
    drawn = {**search.space.default, **entry.arguments}
    own = {name: drawn[name] for name in search.space.distributions}
    if row["status"] == Status.PRUNED:
        return Tried(own, None, row[CURVE])
    return Tried(own, headline(row) if _good(row) else math.log(words), {})
