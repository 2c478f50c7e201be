"""Stores of tuned profiles that are written and never trained: searches, and what they chose."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from written_stores import NET, RECIPE, Point, trial_rows, write_rows

from ablate.report.asking import Asked
from ablate.report.combination import Combination, split
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.stages import SEARCH, THEN
from ablate.store import Store
from ablate.strategies import get
from ablate.study.points import Point as StudyPoint

RATE = "recipe.learning_rate"


@dataclass(frozen=True)
class Tried:
    """A point of a search: its arguments and nuisances, and the perplexities it comes out at."""

    given: dict = field(default_factory=dict)
    valid: float = 220.0
    train: float = 130.0
    status: str = "ok"
    nuisances: dict = field(default_factory=lambda: {RATE: 1.0})


@dataclass(frozen=True)
class Searched:
    """A search: its points from number 0 on, and on which later seeds `number` was trained."""

    strategy: str
    tried: tuple[Tried, ...]
    number: int | None = None
    seeds: tuple[int, ...] = (2, 3, 4)
    pinned: dict = field(default_factory=dict)
    pending: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        words = [f"{name}={value}" for name, value in self.pinned.items()]
        return " ".join([self.strategy, *words])


NONE = Searched("none", (Tried(valid=260.0), Tried({}, 250.0, nuisances={RATE: 0.6})), 1)
ZAREMBA = Searched(
    "zaremba2014",
    (
        Tried({}, 220.0),
        Tried({"rate": 0.4}, 210.0, nuisances={RATE: 0.7}),
        Tried({"rate": 0.8}, 210.0, nuisances={RATE: 0.9}),
        Tried({"rate": 0.1}, 200.0, status="diverged"),
        Tried({"rate": 0.2}, 190.0, status="pruned"),
    ),
    1,
)
# Its default point is the best of three.
GAL = Searched("gal2016", (Tried(valid=205.0), Tried({"recurrent": 0.6}, 240.0)), 0)


def write_tuned(
    results: Path,
    searches: tuple[Searched, ...],
    *,
    study: str = "placement",
    profile: str = "tuned",
    baseline: str | None = None,
    exact: bool = True,
) -> Store:
    """Write a store; `exact` perplexities have no noise on the search's seed, which is 1."""
    store = Store.of(results, study, profile)
    cells = []
    for position, search in enumerate(searches):
        for number, tried in enumerate(search.tried):
            runs = [(1, SEARCH)]
            if number == search.number:
                runs += [(seed, THEN) for seed in search.seeds]
            for seed, stage in runs:
                pending = stage == THEN and seed in search.pending
                cell = _write(store, search, tried, seed, position, pending, exact)
                plan = {"stage": stage, "search": search.name, "number": number}
                cells.append(cell | plan | {"baseline": search.name == baseline})
    store.write_cells(cells)
    return store


def _write(
    store: Store,
    search: Searched,
    tried: Tried,
    seed: int,
    position: int,
    pending: bool,
    exact: bool,
) -> dict:
    strategy = get(search.strategy)
    arguments = strategy.arguments(**(search.pinned | tried.given))
    point = StudyPoint(strategy, tuple(arguments.items()), tuple(tried.nuisances.items()))
    written = Point(search.strategy, search.pinned | tried.given, tried.train, tried.valid)
    recipe = RECIPE | {name.split(".")[1]: value for name, value in tried.nuisances.items()}
    cell, trial = trial_rows(written, seed, position, NET, recipe, "fp32")
    cell |= {
        "arguments": json.dumps(point.facts),
        "label": point.label,
        "recipe": json.dumps(RECIPE),
        "asked": True,
    }
    level = tried.valid if exact and seed == 1 else None
    if not pending:
        status = tried.status if seed == 1 else "ok"
        write_rows(store, written, trial, seed, recipe, status=status, valid=level)
    return cell


def part_of(store: Store, asked: Asked | None = None) -> Combination:
    """The one combination of a store."""
    cells = read_cells(store)
    if asked:
        cells = asked.of(cells)
    [part] = split(read_trials(store, cells), read_epochs(store), cells)
    return part


def sampled_searches(points: int = 16, *, seed: int = 7) -> tuple[Searched, ...]:
    """Seven searches as a sampler would make them, one with a diverged point."""
    rng = np.random.default_rng(seed)
    kinds = (
        ("none", {}, 262), ("zaremba2014", {}, 216), ("gal2016", {}, 213), ("merity2017", {}, 212),
        ("semeniuta2016", {}, 222), ("recurrent", {"sharing": "window"}, 249),
        ("recurrent", {"sharing": "step"}, 247),
    )  # fmt: skip
    made = []
    for at, (name, pinned, level) in enumerate(kinds):
        strategy = get(name)
        free = [key for key in strategy.parameters if key not in pinned]
        best = {key: rng.uniform(0.2, 0.6) for key in free}
        tried = []
        for number in range(points):
            given, off = {}, 0.0
            for key in free if number else ():
                parameter = strategy.parameters[key]
                if parameter.kind == "rate":
                    given[key] = float(rng.uniform(0, 0.9))
                elif parameter.kind == "int":
                    given[key] = int(rng.integers(parameter.low, parameter.high + 1))
                else:
                    given[key] = rng.choice(parameter.choices or [False, True]).item()
            for key in free:
                value = given.get(key, strategy.parameters[key].default)
                if isinstance(value, float):
                    off += (value - best[key]) ** 2
            rate = float(np.exp(rng.uniform(math.log(0.1), math.log(3)))) if number else 1.0
            off += 0.05 * math.log(rate / 0.8) ** 2
            lost = at == 2 and number in (4, 9)
            valid = level * math.exp(0.9 * off / max(1, len(free)) - 0.02 + rng.normal(0, 0.008))
            tried.append(
                Tried(given, valid, 0.6 * valid, "diverged" if lost else "ok", {RATE: rate})
            )
        done = [one.valid if one.status == "ok" else math.inf for one in tried]
        made.append(Searched(name, tuple(tried), int(np.argmin(done)), pinned=pinned))
    return tuple(made)
