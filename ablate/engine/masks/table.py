"""The masks of an edge in K trials: a table of addresses on the device, and how to sample from it.

A cohort has one table for each edge. Only its `Clock` changes from update to update, in place, in
tensors. A CUDA graph that captured a window therefore samples new masks at each replay.

Shapes: K trials, T time, B batch, G gates, U units, M updates of a trial; 1 where an axis shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ablate.drops import SMALLEST_RATE
from ablate.masks import Coordinates
from ablate.noise import BERNOULLI, Noise, takes_tensors, threshold


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """The update number of each trial of a cohort, on the device.

    `updates_K` (int64) are the update numbers. `factors_KM` (float64) are the factors by which each
    trial's schedule multiplies its rates, None where every schedule is constant.
    """

    updates_K: Tensor
    factors_KM: Tensor | None = None

    @classmethod
    def at(
        cls,
        updates: Sequence[int],
        *,
        device: torch.device | str = "cpu",
        factors: Sequence[Sequence[float]] | None = None,
    ) -> "Clock":
        """The clock of trials at these updates; each trial's `factors` have one for every update.

        A shorter list is extended by its last factor.
        """
        updates_K = on_device(updates, torch.int64, device)
        if factors is None:
            return cls(updates_K)
        longest = max(map(len, factors))
        whole = [[*own, *(own[-1:] * (longest - len(own)))] for own in map(list, factors)]
        return cls(updates_K, torch.tensor(whole, dtype=torch.float64, device=device))

    def advance(self) -> None:
        """Go on by one update, in place; the host does not wait."""
        self.updates_K.add_(1)

    def factors_K(self) -> Tensor | None:
        """The schedules' factors at the current updates."""
        if self.factors_KM is None:
            return None
        last = self.factors_KM.shape[1] - 1
        return self.factors_KM.gather(1, self.updates_K.clamp(max=last).unsqueeze(1)).squeeze(1)


def on_device(numbers: Sequence[float], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """A vector of these numbers, filled on the device.

    A copy from the host would wait for the GPU, and a CUDA graph cannot capture it.
    """
    return torch.stack([torch.full((), own, dtype=dtype, device=device) for own in numbers])


class Source(Protocol):
    """A source of an edge's multipliers in K trials."""

    def draw(self, clock: Clock, tokens_TB: Tensor | None = None) -> Tensor:
        """The multipliers of a window, [K, T, B, G, U]; an axis that all trials share has length 1.

        `tokens_TB` are the words of the text, for EMBEDDING. For HOLD 1 takes the new value and 0
        holds the old.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """The multipliers of deterministic evaluation, [K, T, 1, 1, 1]; nothing is sampled."""

    values: Tensor

    def draw(self, clock: Clock, tokens_TB: Tensor | None = None) -> Tensor:
        return self.values


@dataclass(frozen=True, slots=True, eq=False)
class MaskTable:
    """The masks of one edge in K trials that have one noise and one sharing of units.

    Each trial has a row: its addresses, its rate, and whether kept values are divided by 1 - p.
    """

    at: Coordinates
    noise: Noise
    rates_K: Tensor  # float64
    divided_K: Tensor  # bool
    threshold_K: Tensor  # int64, at the full rates; as `scale_K`
    scale_K: Tensor

    @classmethod
    def of(
        cls,
        at: Coordinates,
        noise: Noise,
        rates: Sequence[float],
        divided: Sequence[bool],
        *,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> "MaskTable":
        """The table of trials with these rates; their multipliers come in `dtype`."""
        rates_K = torch.tensor(rates, dtype=torch.float64, device=device)
        divided_K = torch.tensor(divided, device=device)
        return cls(at, noise, rates_K, divided_K, *_limits(rates_K, divided_K, dtype))

    def draw(self, clock: Clock, tokens_TB: Tensor | None = None) -> Tensor:
        rates_K, factors_K = self.rates_K, clock.factors_K()
        threshold_K, scale_K = self.threshold_K, self.scale_K
        if factors_K is not None:
            # A rate below the resolution of a 32-bit word is 0, as in `Drop.scaled`.
            scaled_K = rates_K * factors_K
            rates_K = torch.where(scaled_K >= SMALLEST_RATE, scaled_K, 0.0)
            threshold_K, scale_K = _limits(rates_K, self.divided_K, scale_K.dtype)
        if self.noise == BERNOULLI:
            return self.at.kept(clock.updates_K, threshold_K, scale_K, tokens_TB)
        words = self.at.words(clock.updates_K, tokens_TB)
        if takes_tensors(self.noise):
            made = self.noise.multiplier(words, rates_K.view(-1, 1, 1, 1, 1))
        else:
            # Numbers may raise where tensors return NaN: at a rate of 0 the noise is not called.
            own = zip(words, rates_K.tolist(), strict=True)
            made = torch.stack([self.noise.multiplier(w, p) if p else w.double() for w, p in own])
        # A rate of 0 means a multiplier of 1, whatever the noise returns for it.
        silent = (rates_K == 0.0).view(-1, 1, 1, 1, 1)
        return torch.where(silent, 1.0, made).to(scale_K.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """Several tables, each for some of the `trials` trials; the multiplier is 1 for the others."""

    trials: int
    parts: tuple[tuple[Tensor, MaskTable], ...]

    def draw(self, clock: Clock, tokens_TB: Tensor | None = None) -> Tensor:
        drawn = [
            (members, table.draw(_of(clock, members), tokens_TB)) for members, table in self.parts
        ]
        shape = torch.broadcast_shapes(*(own.shape[1:] for _, own in drawn))
        joined = drawn[0][1].new_ones(self.trials, *shape)
        for members, own in drawn:
            joined.index_copy_(0, members, own.expand(-1, *shape))
        return joined


def _limits(rates_K: Tensor, divided_K: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The smallest word that keeps a value, and the multiplier of a kept value."""
    scale_K = torch.where(divided_K, 1.0 / (1.0 - rates_K), 1.0)
    return threshold(rates_K), scale_K.to(dtype)


def _of(clock: Clock, members: Tensor) -> Clock:
    """The clock of some of a cohort's trials."""
    factors_KM = clock.factors_KM
    return Clock(clock.updates_K[members], None if factors_KM is None else factors_KM[members])
