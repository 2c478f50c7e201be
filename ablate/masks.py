"""Masks as a pure function of coordinates: Philox4x32-10 (Salmon 2011).

    word = philox4x32-10(key     = (seed, purpose 4 bits | stack 8 | layer 12 | edge 8),
                         counter = (update, time << 2 | gate, batch (WEIGHT: source),
                                    word << 12 | unit // 4))[unit % 4]
    keep = word >= round(rate * 2**32)

Every coordinate is divided by its sharing before it is packed. There is no generator state, so
order, device, dtype and resumption cannot change a mask. Source: doi:10.1145/2063384.2063405.

Shapes: K trials, T time, B batch, G gates (1 where they share), U units, S source units, N calls of
the generator (four units each).
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import torch
from torch import Tensor

from ablate.compiling import lowered
from ablate.drops import Sharing
from ablate.edges import Edge
from ablate.errors import AblateError

# Raised whenever an address or an equation changes: it is part of every result's key.
SEMANTICS: Final = 1

_MASK32: Final = 0xFFFFFFFF
_MULTIPLIERS: Final = (0xD2511F53, 0xCD9E8D57)
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_ROUNDS: Final = 10

LIMITS: Final = {
    "seed": 2**32,
    "update": 2**32,
    "stack": 2**8,
    "layer": 2**12,
    "time": 2**30,
    "gate": 4,
    "batch": 2**32,
    "source": 2**32,
    "word": 2**20,
    "unit": 2**14,
}


class Purpose(IntEnum):
    """What random words are for; purposes never share an address.

    Nothing is drawn for MONTE_CARLO and DATA yet: their numbers are kept for them.
    """

    INITIAL = 0
    MASK = 1
    MONTE_CARLO = 2
    DATA = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The coordinates that one edge's masks share within a window (no edge: not a mask's words).

    `start` is the first step's number within the sequence, `batch_offset` the first row's number in
    the whole batch. Raises AblateError, with the limit, for a coordinate that does not fit.
    """

    seed: int
    edge: Edge | None = None
    layer: int = 0
    stack: int = 0
    update: int = 0
    start: int = 0
    batch_offset: int = 0
    purpose: Purpose = Purpose.MASK

    def __post_init__(self) -> None:
        check("seed", self.seed)
        check("update", self.update)
        check("stack", self.stack)
        check("layer", self.layer)
        check("time", self.start)
        check("batch", self.batch_offset)

    @property
    def key(self) -> tuple[int, int]:
        """The two words of Philox's key."""
        edge = 0 if self.edge is None else self.edge.number
        space = self.purpose << 28 | self.stack << 20 | self.layer << 8 | edge
        return self.seed, space


def check(name: str, value: int) -> None:
    """Raise AblateError where a coordinate does not fit its bits."""
    if not 0 <= value < LIMITS[name]:
        raise AblateError(
            f"a mask's {name} lies in [0, {LIMITS[name]}), got {value}: it has no address"
        )


def check_types(sharing: Sharing, types: int) -> None:
    """Raise AblateError where each of `types` words decides for itself and some have no address."""
    if sharing.word == 1 and types > LIMITS["word"]:
        raise AblateError(
            f"masks that decide for each word have addresses for {LIMITS['word']:,} words, got a "
            f"vocabulary of {types:,}"
        )


def philox(key: Tensor, counter: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Philox4x32-10 on int64 tensors that hold 32-bit words; `key` is [2], counters broadcast.

    int64 products wrap, and the wrapped low 64 bits are the exact product, so that a shift and a
    mask give both halves.
    """
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


@dataclass(frozen=True, slots=True)
class Keep:
    """Make multipliers of words at once: `scale` where the word reaches `threshold`, else 0."""

    threshold: int
    scale: float
    dtype: torch.dtype


class _Coordinates(NamedTuple):
    """What an address is made of, an axis each; a shared axis has length 1."""

    key_2K: Tensor
    update_K: Tensor
    step_TG: Tensor
    row_B: Tensor
    word_TB: Tensor
    group_N: Tensor


def _word_lanes(*coordinates: Tensor) -> Tensor:
    """The words at all coordinates, [K, T, B, G, 4 N], a call's four side by side."""
    return torch.stack(_drawn(*coordinates), dim=-1).flatten(-2)


def _keep_lanes(threshold_K: Tensor, scale_K: Tensor, *coordinates: Tensor) -> Tensor:
    """As `_word_lanes`, thresholded while the words are still in registers."""
    each = (-1, 1, 1, 1, 1)
    threshold, scale = threshold_K.view(each), scale_K.view(each)
    kept = [torch.where(word >= threshold, scale, 0.0) for word in _drawn(*coordinates)]
    return torch.stack(kept, dim=-1).flatten(-2)


def _drawn(
    key_2K: Tensor,
    update_K: Tensor,
    step_TG: Tensor,
    row_B: Tensor,
    word_TB: Tensor,
    group_N: Tensor,
) -> tuple[Tensor, ...]:
    """The four words of each call, each [K, T, B, G, N].

    Every counter is expanded first: rounds on parts of the axes would each go through memory.
    """
    trials, (steps, rows), gates = update_K.shape[0], word_TB.shape, step_TG.shape[1]
    shape = (trials, steps, rows, gates, group_N.shape[0])
    counter = (
        update_K.view(trials, 1, 1, 1, 1).expand(shape),
        step_TG.view(1, steps, 1, gates, 1).expand(shape),
        row_B.view(1, 1, rows, 1, 1).expand(shape),
        word_TB.view(1, steps, rows, 1, 1).expand(shape) << 12 | group_N.expand(shape),
    )
    return philox(key_2K.view(2, trials, 1, 1, 1, 1).expand(2, *shape), counter)


def _examples() -> tuple[Tensor, ...]:
    """Coordinates that share nothing, for the compiler."""
    shapes = ((2, 3), (3,), (35, 4), (20,), (35, 20), (163,))
    return tuple(torch.zeros(shape, dtype=torch.int64) for shape in shapes)


_words_lowered = lowered(_word_lanes, _examples)


@functools.cache
def _keeps_lowered(dtype: torch.dtype) -> Callable[..., Tensor]:
    def examples() -> tuple[Tensor, ...]:
        return torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=dtype), *_examples()

    return lowered(_keep_lanes, examples)


def _coordinates(divisor: int | None, start: int, count: int, device: torch.device) -> Tensor:
    """`count` neighbours from `start`, divided by their sharing; one coordinate where ALL share."""
    if divisor is None:
        return torch.zeros(1, dtype=torch.int64, device=device)
    return torch.arange(start, start + count, dtype=torch.int64, device=device) // divisor


def activation_words(
    address: Address,
    sharing: Sharing,
    *,
    time: int,
    batch: int,
    units: int,
    tokens_TB: Tensor | None = None,
    device: torch.device | str = "cpu",
    keep: Keep | None = None,
) -> Tensor:
    """Words (multipliers where `keep` is given) of an activation: [T, B, G, U].

    An axis that ALL share has length 1.

    `tokens_TB` gives the words of the text to EMBEDDING, [T, B]; with `word=1` equal words share.
    """
    keeps = None if keep is None else [keep]
    step, row = _steps_and_rows(address, sharing, time, batch, torch.device(device))
    word = None
    if tokens_TB is not None and sharing.word == 1:
        # On the meta device there are no words to look at.
        if not tokens_TB.is_meta:
            check("word", int(tokens_TB.max()))
        word = tokens_TB
    return _draw([address], sharing, step, row, units, keeps, word)[0]


def activation_keeps(
    addresses: Sequence[Address],
    sharing: Sharing,
    *,
    time: int,
    batch: int,
    units: int,
    keeps: Sequence[Keep],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Multipliers of K trials whose drops share alike, in one draw: [K, T, B, G, U].

    Each is what `activation_words` makes of its own address and `Keep`; all stand at one window.
    """
    step, row = _steps_and_rows(addresses[0], sharing, time, batch, torch.device(device))
    return _draw(addresses, sharing, step, row, units, keeps)


def weight_words(
    address: Address,
    sharing: Sharing,
    *,
    sources: int,
    units: int,
    device: torch.device | str = "cpu",
    keep: Keep | None = None,
) -> Tensor:
    """Words (multipliers where `keep` is given) of a weight: [G, U, S].

    An axis that ALL share has length 1."""
    device = torch.device(device)
    check("source", sources - 1)
    gate = _coordinates(sharing.divisor("gate"), 0, 4, device)
    source = _coordinates(sharing.divisor("source"), 0, sources, device)
    keeps = None if keep is None else [keep]
    drawn = _draw([address], sharing, gate.unsqueeze(0), source, units, keeps)
    return drawn[0, 0].permute(1, 2, 0)


def _steps_and_rows(
    address: Address, sharing: Sharing, time: int, batch: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """An activation's counters over steps and gates, and over the rows of the batch."""
    check("time", address.start + time - 1)
    check("batch", address.batch_offset + batch - 1)
    step = _coordinates(sharing.divisor("time"), address.start, time, device)
    gate = _coordinates(sharing.divisor("gate"), 0, 4, device)
    row = _coordinates(sharing.divisor("batch"), address.batch_offset, batch, device)
    return step.unsqueeze(1) << 2 | gate, row


def _draw(
    addresses: Sequence[Address],
    sharing: Sharing,
    step_TG: Tensor,
    row_B: Tensor,
    units: int,
    keeps: Sequence[Keep] | None,
    word_TB: Tensor | None = None,
) -> Tensor:
    """Add the units and draw, [K, T, B, G, U]: K addresses that differ in seed and update alone."""
    check("unit", units - 1)
    device = row_B.device
    if word_TB is None:
        word_TB = torch.zeros(len(step_TG), len(row_B), dtype=torch.int64, device=device)
    else:
        # A word is a coordinate of each step and row, also where those share.
        step_TG = step_TG.expand(len(word_TB), -1).contiguous()
        row_B = row_B.expand(word_TB.shape[1]).contiguous()
    per_unit, per_update = sharing.divisor("unit"), sharing.divisor("update")
    count = 1 if per_unit is None else -(-units // per_unit)
    updates = [0 if per_update is None else own.update // per_update for own in addresses]
    # Tensors rather than numbers, so that compiled code is not specialised on an update or a seed.
    given = _Coordinates(
        torch.tensor(list(zip(*(own.key for own in addresses), strict=True)), device=device),
        torch.tensor(updates, device=device),
        step_TG,
        row_B,
        word_TB,
        torch.arange(-(-count // 4), device=device),
    )
    if keeps is None:
        lanes = _words_lowered(*given)
    else:
        limits = torch.tensor([own.threshold for own in keeps], device=device)
        scales = torch.tensor([own.scale for own in keeps], dtype=keeps[0].dtype, device=device)
        lanes = _keeps_lowered(keeps[0].dtype)(limits, scales, *given)
    drawn = lanes[..., :count]
    if per_unit is None or per_unit == 1:
        return drawn
    return drawn.repeat_interleave(per_unit, dim=-1)[..., :units]
