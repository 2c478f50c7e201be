"""A strategy of one's own, with a noise and a schedule of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.noise import BERNOULLI, Noise
from ablate.placement import Placement
from ablate.schedules import CONSTANT, Schedule
from ablate.strategies import Rate, strategy

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Uniform(Noise):
    """1 + sqrt(3 p / (1 - p)) u with u uniform in (-1, 1): the moments of Gaussian dropout."""

    name: str = "UNIFORM"

    def mean(self, rate: float) -> float:
        return 1.0

    def variance(self, rate: float) -> float:
        return rate / (1.0 - rate)

    def multiplier(self, word: Tensor, rate: float) -> Tensor:
        u = (word.double() + 0.5) / 2.0**31 - 1.0
        return 1.0 + (3.0 * rate / (1.0 - rate)) ** 0.5 * u


@dataclass(frozen=True, slots=True)
class WarmUp(Schedule):
    """From nothing to the full rates in a straight line, over the first `share` of a trial."""

    name: str = "WARM_UP"
    share: float = 0.1

    def factor(self, update: int, total: int) -> float:
        return min(1.0, update / (self.share * total))


UNIFORM = Uniform()
WARM_UP = WarmUp()


@strategy(dial="outside")
def sandwich(
    outside: Rate = 0.4,
    inside: Rate = 0.1,
    noise: Literal["bernoulli", "uniform"] = "bernoulli",
    warm_up: bool = False,
) -> Placement:
    """Drop much of what enters the stack and leaves it, and little between its layers."""
    chosen = UNIFORM if noise == "uniform" else BERNOULLI
    return Placement(
        {
            Edge.INPUT | Edge.OUTPUT: Drop(outside, noise=chosen),
            Edge.INTERLAYER: Drop(inside, noise=chosen),
        },
        WARM_UP if warm_up else CONSTANT,
    )
