"""Masks as the engine draws them, taken apart into decisions: who shares one, and what it states.

Shapes: T time, B batch, G gates, U units, S source units.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ablate.drops import Drop, Scale
from ablate.edges import Edge
from ablate.engine.masks.net import mask
from ablate.engine.window import Window
from ablate.noise import BERNOULLI

# Odd, small, and no number of units is a multiple of the four words of a call of the generator.
T, B, U = 6, 5, 61
VOCABULARY = 11

# Enough decisions for a rate to be told from its neighbours, or as many seeds as a test may wait.
DECISIONS, MOST_SEEDS = 4000, 150

ERRORS = 5.0

# What the rounding of float64 leaves where chance explains nothing: a noise of two points.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Sample:
    """Multipliers with one dimension for each axis, and each place's decision by number on it."""

    values: Tensor
    decisions: dict[str, list[int]]

    def firsts(self) -> Tensor:
        """Only the first place of every decision: no two entries share one."""
        values = self.values
        for dim, numbers in enumerate(self.decisions.values()):
            first = [place for place, number in enumerate(numbers) if number not in numbers[:place]]
            values = values.index_select(dim, torch.tensor(first))
        return values

    def shared(self) -> Tensor:
        """Every place's multiplier taken from the first place of its decision."""
        values = self.values
        for dim, numbers in enumerate(self.decisions.values()):
            first = [numbers.index(number) for number in numbers]
            values = values.index_select(dim, torch.tensor(first))
        return values


@dataclass(frozen=True, slots=True)
class DropAt:
    """A drop at an edge of one layer, which is the `index`-th at which the edge acts."""

    drop: Drop
    edge: Edge
    layer: int
    index: int

    def __str__(self) -> str:
        return f"{self.edge.label}({self.drop.text})"

    @property
    def rate(self) -> float:
        return self.drop.rate_of(self.index)

    @property
    def kept(self) -> float:
        """What Bernoulli multiplies by where it does not drop."""
        return 1.0 / (1.0 - self.rate) if self.drop.scale is Scale.TRAIN else 1.0

    @property
    def mean(self) -> float:
        """The stated mean of the multiplier (HOLD: how often the new value is taken)."""
        if self.drop.noise == BERNOULLI:
            return (1.0 - self.rate) * self.kept
        return self.drop.noise.mean(self.rate)

    @property
    def variance(self) -> float:
        """The stated variance of the multiplier."""
        if self.drop.noise == BERNOULLI:
            return self.rate * (1.0 - self.rate) * self.kept**2
        return self.drop.noise.variance(self.rate)

    @property
    def updates(self) -> int | None:
        """How many updates share a decision; None where all do."""
        return self.drop.shared.divisor("update")

    def at(self, rate: float) -> "DropAt":
        """The same with another rate."""
        return replace(self, drop=replace(self.drop, rate=rate))

    def seeds(self) -> range:
        """Seeds enough for thousands of decisions."""
        return range(min(MOST_SEEDS, math.ceil(DECISIONS / self.sample().firsts().numel())))

    def sample(self, **given: Any) -> Sample:
        """Draw the masks of one window; `given` says what is not as usual.

        The window stands across the border of two decisions that are longer than a step or a row,
        and at the first update of a decision.
        """
        sharing, edge = self.drop.shared, self.edge
        usual = {
            "seed": 0,
            "update": self.updates or 1,
            "time": T,
            "batch": B,
            "start": _before_a_border(sharing.divisor("time")),
            "batch_offset": _before_a_border(sharing.divisor("batch")),
            "dtype": torch.float64,
        }
        window = Window(**(usual | given))
        units = max(U, 2 * (sharing.divisor("unit") or 1) + 1)
        spans = {
            "time": (window.start, window.time),
            "batch": (window.batch_offset, window.batch),
            "gate": (0, 4),
            "unit": (0, units),
            "source": (0, units),
        }
        numbers = {axis: _numbers(sharing.divisor(axis), *span) for axis, span in spans.items()}
        if edge is Edge.WEIGHT:
            mask_GUS = mask(self.drop, edge, self.layer, units, window)
            decisions = {axis: numbers[axis] for axis in ("gate", "unit", "source")}
            return Sample(mask_GUS.expand(4, units, units), decisions)
        tokens_TB = torch.arange(window.time * window.batch).view(-1, window.batch) % VOCABULARY
        mask_TBGU = mask(self.drop, edge, self.layer, units, window, tokens_TB=tokens_TB).expand(
            window.time, window.batch, 4, units
        )
        decisions = {axis: numbers[axis] for axis in ("time", "batch", "gate", "unit")}
        if edge is not Edge.EMBEDDING or sharing.word != 1:
            return Sample(mask_TBGU, decisions)
        places = list(itertools.product(decisions.pop("time"), decisions.pop("batch")))
        return Sample(mask_TBGU.flatten(0, 1), {"word": _by_word(places, tokens_TB)} | decisions)


def allowed(told: float, variance: float, largest: float, count: int) -> float:
    """How far the mean of `count` values may lie from the one that is told: five standard errors.

    The second term is Bernstein's, for rates so low that hardly anything was dropped; the third is
    for values that do not vary.
    """
    chance = ERRORS * math.sqrt(variance / count) + ERRORS**2 * largest / (3.0 * count)
    return chance + ROUNDING * (1.0 + abs(told))


def _by_word(places: list[tuple[int, int]], tokens_TB: Tensor) -> list[int]:
    """Number the decisions of places whose words decide for themselves."""
    each = list(zip(places, tokens_TB.flatten().tolist(), strict=True))
    order = {decision: number for number, decision in enumerate(dict.fromkeys(each))}
    return [order[decision] for decision in each]


def _before_a_border(divisor: int | None) -> int:
    """A start from which a window of a few steps crosses into the second decision."""
    return max(0, (divisor or 1) - 3)


def _numbers(divisor: int | None, start: int, count: int) -> list[int]:
    """The number of each place's decision on an axis; one for all where they share."""
    return [0 if divisor is None else place // divisor for place in range(start, start + count)]
