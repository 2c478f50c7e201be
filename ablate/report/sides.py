"""The sides of a comparison: a combination of a store each, its trials, and which are compared.

Placements are the same where strategy and arguments are, and searches where their names are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from ablate.errors import AblateError, did_you_mean
from ablate.report.combination import COMBINATION, Combination, split
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.report.names import names_of
from ablate.report.order import BySeed
from ablate.report.statistics import PLACEMENT, baseline_of
from ablate.report.tuned import is_tuned, shown
from ablate.stages import SEARCH, THEN
from ablate.status import Status
from ablate.store import Store

METRIC: Final = "valid_ppl"

# Trials of one key are the same to the bit where these are the same.
MACHINE: Final = ["device", "cpu", "platform", "torch_version", "ablate_version"]
# In the place of a search's arguments, which are whatever validation chose.
_TUNED: Final = "tuned"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One combination of a store, and its trials: those of a search under the search's name."""

    name: str
    store: Store
    part: Combination
    trials: pd.DataFrame

    @property
    def title(self) -> str:
        """`A: placement (quick) in results: ptb-tenth, LSTM 2 × 200, fp32, last epoch`."""
        where = f"{self.store.study} ({self.store.profile}) in {self.store.folder.parents[1]}"
        return f"{self.name}: {where}: {self.part.name}, {self.part.headline} epoch"

    @property
    def finished(self) -> pd.DataFrame:
        """The trials that ended well."""
        return self.trials[self.trials["status"] == Status.OK]

    @property
    def labels(self) -> dict[tuple[str, str], str]:
        """The label of each placement that has a finished trial, in the order of the study."""
        rows = self.finished.sort_values("position", kind="stable")
        return {
            (strategy, arguments): str(label)
            for strategy, arguments, label in rows[[*PLACEMENT, "label"]].itertuples(index=False)
        }

    def by_seed(self, placement: tuple[str, str]) -> BySeed:
        """The perplexity of each finished seed of a placement."""
        own = self._of(placement)
        return dict(zip(own["seed"].astype(int), own[METRIC].astype(float), strict=True))

    @property
    def baseline(self) -> tuple[str, str] | None:
        """The placement that differences are to; None where it has no finished trial."""
        rows = baseline_of(self.finished)
        return None if rows is None else (rows["strategy"].iloc[0], rows["arguments"].iloc[0])

    def facts(self, placement: tuple[str, str]) -> set[tuple[Any, ...]]:
        """Key and machine of each finished trial of a placement."""
        rows = self._of(placement)[["key", *MACHINE]].fillna("")
        return set(rows.itertuples(index=False, name=None))

    def _of(self, placement: tuple[str, str]) -> pd.DataFrame:
        rows = self.finished
        return rows[(rows["strategy"] == placement[0]) & (rows["arguments"] == placement[1])]


def sides_of(name: str, store: Store) -> list[Side]:
    """The combinations of a store that have a trial."""
    cells = read_cells(store)
    parts = split(read_trials(store, cells), read_epochs(store), cells)
    return [Side(name, store, part, _trials(part)) for part in parts if len(part.trials)]


def _trials(part: Combination) -> pd.DataFrame:
    """The trials of the main table, and those that the study file does not ask for.

    Of a search the later seeds of what it chose, and none of those on which it chose.
    """
    view = shown(part)
    chosen = view.trials["stage"] == THEN
    trials = view.trials.assign(
        strategy=view.trials["strategy"].where(~chosen, view.trials["label"]),
        arguments=view.trials["arguments"].where(~chosen, _TUNED),
    )
    if len(view.others):
        trials = pd.concat([trials, view.others])
    kept = trials[trials["stage"] != SEARCH]
    return kept.drop_duplicates([*PLACEMENT, "seed", "key"])


def named(sides: Sequence[Side], wanted: str) -> list[Side]:
    """The side whose combination is called `wanted`, or has that in its name."""
    names = {side.part.name: side for side in sides}
    slugs = {side.part.slug: side for side in sides if side.part.slug}
    exact = names.get(wanted) or slugs.get(wanted)
    word = wanted.casefold()
    found = (
        [exact]
        if exact
        else [s for s in sides if word in s.part.name.casefold() or word in s.part.slug]
    )
    if len(found) == 1:
        return found
    which = "no combination is" if not found else f"{len(found)} combinations are"
    near = "" if found else did_you_mean(wanted, [*names, *slugs])
    raise AblateError(
        f"{which} called '{wanted}' in {sides[0].name}, which has {listed(sides)}{near}; give a "
        "part of one name",
        given=wanted,
        allowed=tuple(names),
    )


def pairs_of(first: Sequence[Side], second: Sequence[Side]) -> list[tuple[Side, Side]]:
    """Which combination is compared with which."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    others = {_identity(side): side for side in second}
    pairs = [(side, others[_identity(side)]) for side in first if _identity(side) in others]
    if pairs:
        return pairs
    raise AblateError(
        f"A has {listed(first)}, B has {listed(second)}, and none is in both; say which to "
        "compare, for A and then for B: --combination NAME --combination NAME, where a part of a "
        "name will do",
        allowed=tuple(side.part.name for side in (*first, *second)),
    )


def _identity(side: Side) -> tuple[str, ...]:
    row = side.part.cells.iloc[0]
    return tuple(str(row[name]) for name in COMBINATION)


def in_common(first: Side, second: Side) -> list[tuple[str, str]]:
    """The placements with a finished trial on both sides, in the order of A."""
    theirs = second.labels
    return [placement for placement in first.labels if placement in theirs]


def nothing_in_common(first: Side, second: Side) -> AblateError:
    ours, theirs = (list(side.labels.values()) for side in (first, second))
    return AblateError(
        _unlike(first, second)
        or f"no placement has a finished trial in both: A has {_quoted(ours)}, and B has "
        f"{_quoted(theirs)}; {_what_to_do(first, second)}",
        given=tuple(ours),
        allowed=tuple(theirs),
    )


def _unlike(first: Side, second: Side) -> str | None:
    """Why a search has no placement in common with points; None where both sides are of a kind."""
    names = {is_tuned(side.part): side.name for side in (first, second)}
    if len(names) == 1:
        return None
    return (
        f"{names[True]} is tuned and {names[False]} is not, and what a search chose is another "
        "placement than the point of its name; compare a tuned profile with another tuned one"
    )


def _what_to_do(first: Side, second: Side) -> str:
    """How two sides without a common placement come to have one."""
    if not (first.labels and second.labels):
        return "a comparison needs finished trials on both sides"
    if is_tuned(second.part):
        return "let the study file of B search one of A's too"
    run = second.store.command("run", "--strategies", next(iter(first.labels.values())))
    return f"train one of A's in B, as by `{run}`"


def listed(sides: Sequence[Side]) -> str:
    many = f"{len(sides)} combination{'' if len(sides) == 1 else 's'}"
    return f"{many} ({'; '.join(side.part.name for side in sides)})"


def _quoted(labels: Sequence[str]) -> str:
    """Labels in quotes, since one of them may be `none`."""
    return names_of([f"'{label}'" for label in labels]) or "no finished trial of a placement"
