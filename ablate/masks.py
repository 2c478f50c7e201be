"""Masks as a pure function of coordinates: Philox4x32-10 (Salmon 2011).

    word = philox4x32-10(key, counter)[unit % 4]
    keep = word >= round(rate * 2**32)

Key and counter are packed coordinates (`ablate.addresses`), each divided by its sharing. The
generator has no state: a mask does not depend on order, device, dtype or resumption. Source:
doi:10.1145/2063384.2063405.

Shapes: K trials, T time, B batch, G gates (1 where they share), U units, S source units, N calls of
the generator (four units each).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from ablate.addresses import LIMITS, Address, check, check_units
from ablate.compiling import lowered
from ablate.drops import Sharing

_MASK32: Final = 0xFFFFFFFF
_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_ROUNDS: Final = 10


def philox(key: Tensor, counter: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Philox4x32-10 on int64 tensors that hold 32-bit words; `key` is [2], counters broadcast.

    One round, with products of 64 bits (hi, lo) and the constants M0, M1, W0, W1:

        c0, c1, c2, c3 = hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)
        k0, k1 = k0 + W0, k1 + W1
    """
    # An int64 product wraps to its exact low 64 bits: a shift and a mask give both halves.
    k0, k1 = key[0], key[1]
    c0, c1, c2, c3 = counter
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            ((p1 >> 32) & _MASK32) ^ c1 ^ k0,
            p1 & _MASK32,
            ((p0 >> 32) & _MASK32) ^ c3 ^ k1,
            p0 & _MASK32,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return torch.broadcast_tensors(c0, c1, c2, c3)


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The addresses of a window's masks at one edge in K trials, each divided by its sharing.

    They lie on the device; `words` takes the update numbers. An axis that every trial shares as a
    whole has length 1. Groups of `per_unit` units share a word, all `units` where it is None.
    `per_update_K` is 0 where all updates share; None means 1 for every trial. `of_word_K` is 1
    where each word of the text has a mask; None means 0 for every trial.
    """

    key_2K: Tensor
    per_update_K: Tensor | None
    step_KTG: Tensor
    row_KB: Tensor
    word_KTB: Tensor
    of_word_K: Tensor | None
    group_N: Tensor
    units: int
    per_unit: int | None

    @classmethod
    def of(
        cls,
        addresses: Sequence[Address],
        sharings: Sequence[Sharing],
        *,
        time: int,
        batch: int,
        units: int,
        gates: int = LIMITS["gate"],
        device: torch.device | str = "cpu",
    ) -> "Coordinates":
        """The coordinates of a window of `time` steps, `batch` rows, `gates` and `units` units.

        Of a weight the rows are its sources, which share by "source", and there is one step. Trials
        of one table share their units alike. Raises AblateError for a coordinate without an
        address.
        """
        check_units(sharings[0], units)
        for address in addresses:
            check("time", address.start + time - 1)
            check("batch", address.batch_offset + batch - 1)
        row = "batch" if sharings[0].source is None else "source"
        starts = [(own.start, own.batch_offset) for own in addresses]
        words = [int(own.word == 1) for own in sharings]
        # A word of the text depends on step and row, also where the mask shares these.
        whole = any(words)
        step_KT = _shared(sharings, "time", [step for step, _ in starts], time, whole=whole)
        gate_KG = _shared(sharings, "gate", [0] * len(words), gates)
        row_KB = _shared(sharings, row, [first for _, first in starts], batch, whole=whole)
        per_update = [own.divisor("update") or 0 for own in sharings]
        per_unit = sharings[0].divisor("unit")
        calls = 1 if per_unit is None else -(-units // (4 * per_unit))
        key_2K = torch.tensor([own.key for own in addresses]).t().contiguous()
        word_KTB = torch.zeros(*step_KT.shape, row_KB.shape[1], dtype=torch.int64)
        step_KTG = step_KT.unsqueeze(2) << 2 | gate_KG.unsqueeze(1)
        return cls(
            key_2K.to(device),
            None if set(per_update) == {1} else torch.tensor(per_update, device=device),
            step_KTG.to(device),
            row_KB.to(device),
            word_KTB.to(device),
            torch.tensor(words, device=device) if whole else None,
            torch.arange(calls, device=device),
            units,
            per_unit,
        )

    def given(self, updates_K: Tensor, tokens_TB: Tensor | None = None) -> tuple[Tensor, ...]:
        """The generator's arguments at these updates, for the words of these tokens."""
        per_K = self.per_update_K
        if per_K is not None:
            updates_K = torch.where(per_K == 0, 0, updates_K // per_K.clamp(min=1))
        word_KTB = self.word_KTB
        if self.of_word_K is not None and tokens_TB is not None:
            # A product keeps its operand's strides, and a compiled kernel takes one layout.
            word_KTB = tokens_TB.contiguous() * self.of_word_K.view(-1, 1, 1)
        return self.key_2K, updates_K, self.step_KTG, self.row_KB, word_KTB, self.group_N

    def spread(self, lanes: Tensor) -> Tensor:
        """The values of the generator's calls, repeated over shared units: [K, T, B, G, U]."""
        if self.per_unit is None:
            return lanes[..., :1]
        if self.per_unit == 1:
            return lanes[..., : self.units]
        count, per_unit = -(-self.units // self.per_unit), min(self.per_unit, self.units)
        return lanes[..., :count].repeat_interleave(per_unit, dim=-1)[..., : self.units]

    def words(self, updates_K: Tensor, tokens_TB: Tensor | None = None) -> Tensor:
        """The words at all coordinates, [K, T, B, G, U]."""
        return self.spread(_words_lowered(*self.given(updates_K, tokens_TB)))

    def kept(
        self,
        updates_K: Tensor,
        threshold_K: Tensor,
        scale_K: Tensor,
        tokens_TB: Tensor | None = None,
    ) -> Tensor:
        """`scale_K` where the word reaches `threshold_K`, else 0: [K, T, B, G, U].

        One kernel samples and compares: the words stay in registers.
        """
        lanes = _kept_lowered(scale_K.dtype)(
            threshold_K, scale_K, *self.given(updates_K, tokens_TB)
        )
        return self.spread(lanes)


def activation_words(
    address: Address,
    sharing: Sharing,
    *,
    time: int,
    batch: int,
    units: int,
    tokens_TB: Tensor | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The words of an activation in one window, [T, B, G, U].

    An axis that ALL share has length 1. `tokens_TB` gives the words of the text to EMBEDDING,
    [T, B]; with `word=1` equal words share.
    """
    own = Coordinates.of([address], [sharing], time=time, batch=batch, units=units, device=device)
    return own.words(torch.tensor([address.update], device=device), tokens_TB)[0]


def weight_words(
    address: Address,
    sharing: Sharing,
    *,
    sources: int,
    units: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The words of a weight, [G, U, S]; an axis that ALL share has length 1."""
    sharing = replace(sharing, source=sharing.source or 1)
    drawn = activation_words(address, sharing, time=1, batch=sources, units=units, device=device)
    return drawn[0].permute(1, 2, 0)


def _shared(
    sharings: Sequence[Sharing],
    axis: str,
    starts: Sequence[int],
    count: int,
    *,
    whole: bool = False,
) -> Tensor:
    """`count` neighbours from each trial's start, divided by its sharing: [K, count].

    [K, 1] where ALL share in every trial, unless the `whole` axis is asked for.
    """
    divisors = [own.divisor(axis) for own in sharings]
    if not whole and all(divisor is None for divisor in divisors):
        return torch.zeros(len(divisors), 1, dtype=torch.int64)
    by_start = torch.tensor(starts).unsqueeze(1) + torch.arange(count)
    per = torch.tensor([divisor or LIMITS["batch"] for divisor in divisors]).unsqueeze(1)
    return by_start // per


def _word_lanes(*coordinates: Tensor) -> Tensor:
    """The words at all coordinates, [K, T, B, G, 4 N], a call's four side by side."""
    return torch.stack(_drawn(*coordinates), dim=-1).flatten(-2)


def _kept_lanes(threshold_K: Tensor, scale_K: Tensor, *coordinates: Tensor) -> Tensor:
    each = (-1, 1, 1, 1, 1)
    threshold, scale = threshold_K.view(each), scale_K.view(each)
    kept = [torch.where(word >= threshold, scale, 0.0) for word in _drawn(*coordinates)]
    return torch.stack(kept, dim=-1).flatten(-2)


def _drawn(
    key_2K: Tensor,
    update_K: Tensor,
    step_KTG: Tensor,
    row_KB: Tensor,
    word_KTB: Tensor,
    group_N: Tensor,
) -> tuple[Tensor, ...]:
    """The four words of each call, each [K, T, B, G, N].

    Every counter is expanded first: rounds on fewer axes would each pass through memory.
    """
    (trials, steps, gates), rows = step_KTG.shape, row_KB.shape[1]
    shape = (trials, steps, rows, gates, group_N.shape[0])
    counter = (
        update_K.view(trials, 1, 1, 1, 1).expand(shape),
        step_KTG.view(trials, steps, 1, gates, 1).expand(shape),
        row_KB.view(trials, 1, rows, 1, 1).expand(shape),
        word_KTB.view(trials, steps, rows, 1, 1).expand(shape) << 12 | group_N.expand(shape),
    )
    return philox(key_2K.view(2, trials, 1, 1, 1, 1).expand(2, *shape), counter)


def _examples(device: torch.device) -> tuple[Tensor, ...]:
    """Coordinates that share nothing, for the compiler."""
    shapes = ((2, 3), (3,), (3, 35, 4), (3, 20), (3, 35, 20), (163,))
    return tuple(torch.zeros(shape, dtype=torch.int64, device=device) for shape in shapes)


_words_lowered = lowered(_word_lanes, _examples, "the masks")


@functools.cache
def _kept_lowered(dtype: torch.dtype) -> Callable[..., Tensor]:
    def examples(device: torch.device) -> tuple[Tensor, ...]:
        threshold_K = torch.zeros(3, dtype=torch.int64, device=device)
        return threshold_K, torch.zeros(3, dtype=dtype, device=device), *_examples(device)

    return lowered(_kept_lanes, examples, "the masks")
