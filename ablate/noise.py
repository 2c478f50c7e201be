"""Multiplicative noises: what a word of 32 random bits becomes.

A noise is a pure function of (word, rate), so that it inherits every law of the masks: no hidden
state, the same on every device, reproducible from coordinates alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Noise:
    """What is common to all noises: a name, which stands in a placement's canonical text."""

    name: str

    def mean(self, rate: float) -> float:
        """The stated mean of the multiplier; the deterministic evaluation multiplies by it."""
        raise NotImplementedError

    def variance(self, rate: float) -> float:
        """The stated variance of the multiplier."""
        raise NotImplementedError

    def multiplier(self, word: Tensor, rate: float) -> Tensor:
        """Map int64 words in [0, 2**32) to float64 multipliers of the same shape."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bernoulli(Noise):
    """Keep with probability 1 - rate (1.0) or drop (0.0); scaled by the drop's `scale`.

    The kept set at a high rate lies inside the kept set at a lower one (same word, one threshold).
    """

    name: str = "BERNOULLI"

    def mean(self, rate: float) -> float:
        return 1.0 - rate

    def variance(self, rate: float) -> float:
        return rate * (1.0 - rate)

    def multiplier(self, word: Tensor, rate: float) -> Tensor:
        return (word >= threshold(rate)).double()


@dataclass(frozen=True, slots=True)
class Gaussian(Noise):
    """1 + sqrt(p / (1 - p)) z with z standard normal (Srivastava 2014, section 10: mean 1).

    z is the inverse normal CDF of (2 (word >> 9) + 1) / 2**24, which is never 0 or 1; taken in
    float64 so that all devices agree to 2 ulp of float32.
    """

    name: str = "GAUSSIAN"

    def mean(self, rate: float) -> float:
        return 1.0

    def variance(self, rate: float) -> float:
        return rate / (1.0 - rate)

    def multiplier(self, word: Tensor, rate: float) -> Tensor:
        import torch

        uniform = (2 * (word >> 9) + 1).double() / 2.0**24
        return 1.0 + (rate / (1.0 - rate)) ** 0.5 * torch.special.ndtri(uniform)


def threshold(rate: float) -> int:
    """The smallest word that is kept at `rate`: round(rate * 2**32)."""
    return round(rate * 2**32)


BERNOULLI = Bernoulli()
GAUSSIAN = Gaussian()
