"""The space of a search: a strategy's arguments and the nuisances, as Optuna's distributions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ablate.strategies.parameters import Value

# What a reader sees of a number is all of it, and no platform's logarithm can change it: a trial's
# key has every digit.
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Space:
    """What a search draws: for each argument its distribution, then for each nuisance.

    `default` is the point that is tried first, the paper's.
    """

    arguments: Mapping[str, BaseDistribution]
    nuisances: Mapping[str, FloatDistribution]
    default: Mapping[str, Value]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """All of them, the arguments first."""
        return {**self.arguments, **self.nuisances}

    def at(self, arguments: Sequence[float], nuisances: Sequence[float]) -> dict[str, Value]:
        """The point at coordinates in [0, 1), one an argument and one a nuisance."""
        drawn = zip(
            self.distributions.items(),
            [*arguments[: len(self.arguments)], *nuisances[: len(self.nuisances)]],
            strict=True,
        )
        return self.rounded({name: _at(own, u) for (name, own), u in drawn})

    def rounded(self, point: Mapping[str, Value]) -> dict[str, Value]:
        """The point with rates of three decimals and nuisances of three digits, in their ranges."""
        return {name: _rounded(own, point[name]) for name, own in self.distributions.items()}

    def inside(self, point: Mapping[str, Value]) -> dict[str, Value]:
        """The point, or the one next to it where a number lies outside its range."""
        return {name: _inside(own, point[name]) for name, own in self.distributions.items()}


def _at(own: BaseDistribution, u: float) -> Value:
    """The value whose share of the distribution is `u`."""
    match own:
        case FloatDistribution(low=low, high=high, log=True):
            return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        case FloatDistribution(low=low, high=high):
            return low + u * (high - low)
        case IntDistribution(low=low, high=high):
            return low + int(u * (high - low + 1))
        case CategoricalDistribution(choices=choices):
            return choices[int(u * len(choices))]  # pyright: ignore[reportReturnType]
        case _:
            raise TypeError(f"no coordinate of {own!r} is known")


def _rounded(own: BaseDistribution, value: Value) -> Value:
    if not isinstance(own, FloatDistribution):
        return value
    number = float(value)
    number = float(f"{number:.{_DECIMALS}g}") if own.log else round(number, _DECIMALS)
    return _inside(own, number)


def _inside(own: BaseDistribution, value: Value) -> Value:
    if isinstance(own, FloatDistribution | IntDistribution):
        return type(own.low)(min(max(value, own.low), own.high))  # pyright: ignore
    return value
