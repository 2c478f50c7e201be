"""Masks as a pure function of coordinates: Philox4x32-10 (Salmon 2011).

    word = philox4x32-10(key     = (seed, purpose 4 bits | stack 8 | layer 12 | edge 8),
                         counter = (update, time << 2 | gate, batch (WEIGHT: source),
                                    word << 12 | unit // 4))[unit % 4]
    keep = word >= round(rate * 2**32)

Every coordinate is divided by its sharing before it is packed. There is no generator state, so
order, device, dtype and resumption cannot change a mask. Source: doi:10.1145/2063384.2063405.

Shapes: T time, B batch, G gates (1 where they share), U units, S source units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import torch
from torch import Tensor

from ablate.compiling import compiled
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
    """What random words are for; purposes never share an address."""

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


def _word_lanes(key: Tensor, c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor) -> Tensor:
    """The four words of each call side by side in the last dimension."""
    return torch.stack(philox(key, (c0, c1, c2, c3)), dim=-1).flatten(-2)


def _keep_lanes(
    key: Tensor, c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor, threshold: Tensor, scale: Tensor
) -> Tensor:
    """As `_word_lanes`, thresholded while the words are still in registers."""
    return torch.where(_word_lanes(key, c0, c1, c2, c3) >= threshold, scale, 0.0).to(scale.dtype)


_words_compiled = compiled(_word_lanes)
_keeps_compiled = compiled(_keep_lanes)


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
    device = torch.device(device)
    t, b, w = _activation_counter(address, sharing, time, batch, units, device)
    if tokens_TB is not None and sharing.word == 1:
        check("word", int(tokens_TB.max()))
        w = tokens_TB[:, :, None, None] << 12
    return _words([address], sharing, (t, b, w), units, None if keep is None else [keep])[0]


def _activation_counter(
    address: Address,
    sharing: Sharing,
    time: int,
    batch: int,
    units: int,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """The counters of an activation over [T, B, G], before words and units."""
    check("time", address.start + time - 1)
    check("batch", address.batch_offset + batch - 1)
    check("unit", units - 1)
    t = _coordinates(sharing.divisor("time"), address.start, time, device).view(-1, 1, 1, 1)
    b = _coordinates(sharing.divisor("batch"), address.batch_offset, batch, device).view(
        1, -1, 1, 1
    )
    g = _coordinates(sharing.divisor("gate"), 0, 4, device).view(1, 1, -1, 1)
    return t << 2 | g, b, torch.zeros(1, dtype=torch.int64, device=device)


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
    check("unit", units - 1)
    g = _coordinates(sharing.divisor("gate"), 0, 4, device).view(-1, 1, 1)
    s = _coordinates(sharing.divisor("source"), 0, sources, device).view(1, -1, 1)
    zero = torch.zeros(1, dtype=torch.int64, device=device)
    drawn = _words([address], sharing, (g, s, zero), units, None if keep is None else [keep])
    return drawn[0].transpose(1, 2)


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
    first = addresses[0]
    counter = _activation_counter(first, sharing, time, batch, units, torch.device(device))
    return _words(addresses, sharing, counter, units, keeps)


def _words(
    addresses: Sequence[Address],
    sharing: Sharing,
    counter: tuple[Tensor, Tensor, Tensor],
    units: int,
    keeps: Sequence[Keep] | None,
) -> Tensor:
    """Append the unit axis to counters (1, 2, high part of 3) and draw, trials in front."""
    c1, c2, high = counter
    device = c1.device
    per_unit = sharing.divisor("unit")
    count = 1 if per_unit is None else -(-units // per_unit)
    groups = torch.arange(-(-count // 4), dtype=torch.int64, device=device)
    per_update = sharing.divisor("update")
    updates = [0 if per_update is None else own.update // per_update for own in addresses]
    each = (-1, *(1,) * c1.dim())
    # Tensors rather than numbers, so that compiled code is not specialised on an update or a seed.
    key = torch.tensor([own.key for own in addresses], dtype=torch.int64, device=device)
    c0 = torch.tensor(updates, dtype=torch.int64, device=device).view(each)
    address_of_lanes = (key.t().reshape(2, *c0.shape), c0, c1, c2, high | groups)
    if keeps is None:
        lanes = _words_compiled(*address_of_lanes)
    else:
        limits = torch.tensor([own.threshold for own in keeps], dtype=torch.int64, device=device)
        scales = torch.tensor([own.scale for own in keeps], dtype=keeps[0].dtype, device=device)
        lanes = _keeps_compiled(*address_of_lanes, limits.view(each), scales.view(each))
    drawn = lanes[..., :count]
    if per_unit is None or per_unit == 1:
        return drawn
    return drawn.repeat_interleave(per_unit, dim=-1)[..., :units]
