"""Two orders of the same placements: ranks, Kendall's tau, and which pairs stand the other way."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import stats

from ablate.report.numbers import MINUS
from ablate.report.statistics import SEEDS_FOR_INTERVAL, seed_mean

#: The perplexities of one placement by seed.
BySeed = Mapping[int, float]

_LISTED: Final = 3


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two orders of `names` agree.

    `pairs` counts all pairs of names, `swapped` has those that stand the other way round, `apart`
    those of them that are told from noise on both sides, and `unknown` counts the swapped ones that
    have too few seeds on a side to be told. `tau` is Kendall's tau-b, nan where an order is all
    ties.
    """

    names: tuple[str, ...]
    tau: float
    pairs: int
    swapped: tuple[tuple[str, str], ...]
    apart: tuple[tuple[str, str], ...]
    unknown: int

    @property
    def words(self) -> str:
        """Whether the orders agree, in sentences."""
        many = len(self.names)
        if many < 2:
            return f"One placement has a mean in both, {self.names[0]}: there is no order."
        tau = f"Kendall's tau {_short(self.tau)}" if np.isfinite(self.tau) else "all are equal"
        if not self.swapped:
            chance = " Two placements have two orders only." if many == 2 else ""
            return f"The order of the {many} placements is the same in A and in B ({tau}).{chance}"
        count = len(self.swapped)
        pairs = f"{count} of {self.pairs} pair{'' if self.pairs == 1 else 's'}"
        return (
            f"The order of the {many} placements is not the same in A and in B: {pairs} "
            f"stand{'s' if count == 1 else ''} the other way round ({tau}). {self._noise()}"
        )

    def _noise(self) -> str:
        count = len(self.swapped)
        if self.apart:
            listed = "; ".join(f"{low} and {high}" for low, high in self.apart[:_LISTED])
            more = len(self.apart) - _LISTED
            listed += f"; and {more} more" if more > 0 else ""
            are = "is" if len(self.apart) == 1 else "are"
            return (
                f"{len(self.apart)} of them {are} told from noise on both sides (95 % t intervals, "
                f"paired by seed, not corrected for their number): {listed}."
            )
        if self.unknown == count:
            return (
                f"With fewer than {SEEDS_FOR_INTERVAL} seeds on a side, none of that can be told "
                "from noise."
            )
        few = f"; {self.unknown} have too few seeds" if self.unknown else ""
        return (
            "None of that is told from noise on both sides (95 % t intervals, paired by seed, not "
            f"corrected for their number){few}."
        )


def ranks(means: Sequence[float]) -> list[float]:
    """The place of each mean, 1 for the lowest; equal ones share a place, nan has none."""
    return stats.rankdata(means, method="min", nan_policy="omit").tolist()


def agreement(names: Sequence[str], first: Sequence[BySeed], second: Sequence[BySeed]) -> Agreement:
    """Compare the orders of the same placements by their mean on two sides.

    Raises ValueError for a placement without a value on a side.
    """
    sides = (first, second)
    means = [[seed_mean(list(values.values())).mean for values in side] for side in sides]
    if np.isnan(means).any():
        raise ValueError("each placement needs a value on each side")
    swapped, apart, unknown = list[tuple[str, str]](), list[tuple[str, str]](), 0
    for one, other in itertools.combinations(range(len(names)), 2):
        # Not the sign of a difference: of two infinite means there is none.
        signs = [(values[other] > values[one]) - (values[other] < values[one]) for values in means]
        if signs[0] * signs[1] >= 0:
            continue
        # In the order of A.
        pair = (one, other) if signs[0] > 0 else (other, one)
        swapped.append((names[pair[0]], names[pair[1]]))
        told = [_told(side[one], side[other]) for side in sides]
        unknown += None in told
        if all(told):
            apart.append(swapped[-1])
    found: Any = stats.kendalltau(*means) if len(names) > 1 else None
    tau = float(found.statistic) if found else float("nan")
    pairs = len(names) * (len(names) - 1) // 2
    return Agreement(tuple(names), tau, pairs, tuple(swapped), tuple(apart), unknown)


def _told(one: BySeed, other: BySeed) -> bool | None:
    """Whether two placements' difference excludes zero; None with too few seeds of both."""
    both = [(one[seed], other[seed]) for seed in sorted(one.keys() & other.keys())]
    found = seed_mean([here - there for here, there in both if np.isfinite([here, there]).all()])
    if not np.isfinite(found.half):
        return None
    return bool(found.low > 0 or found.high < 0)


def _short(tau: float) -> str:
    """`1`, `.87`, `−.2`."""
    text = f"{abs(tau):.2f}".rstrip("0").rstrip(".").removeprefix("0") or "0"
    return f"{MINUS}{text}" if tau < 0 and text != "0" else text
