"""Masks by address rather than by value: what a Triton kernel needs to make them in registers.

A `Toss` has one row a trial, so that trials of any rates, sharings, seeds and updates stand in one
launch; where a trial does not drop, its row keeps everything. All of it lies on the device and
nothing is read back, so that an update may be captured in a CUDA graph and replayed with other
update numbers. This file imports no Triton.

Shapes: K trials, C columns of an address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import torch
from torch import Tensor

from ablate.drops import Drop, Fill, Scale
from ablate.edges import Edge
from ablate.engine.factors import HOLD_SLOT, ZERO_SLOT, Slot, Window, rate_index
from ablate.engine.plan import Mode, folds
from ablate.masks import check
from ablate.noise import BERNOULLI, threshold
from ablate.placement import Placement


class Column(IntEnum):
    """The columns of a toss's table.

    PER_... are the divisors of the sharing, 0 where ALL share. A mask of a weight has its source in
    the place of the batch, as in the address. WORD is 1 where each word of the text has its own.
    """

    SEED = 0
    SPACE = 1
    PER_UPDATE = 2
    START = 3
    PER_TIME = 4
    PER_GATE = 5
    BATCH_OFFSET = 6
    PER_BATCH = 7
    WORD = 8
    PER_UNIT = 9
    THRESHOLD = 10


# Threshold 0 keeps every word.
_KEPT: Final = [0] * len(Column)

# The edges that act between two steps of a layer.
INSIDE: Final = Edge.RECURRENT | Edge.HIDDEN | Edge.UPDATE | Edge.CELL | Edge.CARRY


@dataclass(frozen=True, slots=True)
class Toss:
    """One edge's decisions in every trial, by address.

    `table_KC` (int64) has `Column`'s columns; `scale_K` (float32) is what a kept value is
    multiplied by; `updates_K` (int64) are the windows' numbers, one tensor that all tosses of a
    cohort may share and that is advanced between two replays. `apart` says whether some trial's
    gates have decisions of their own.
    """

    table_KC: Tensor
    scale_K: Tensor
    updates_K: Tensor
    apart: bool = False

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.table_KC, self.scale_K, self.updates_K

    @property
    def trials(self) -> int:
        return self.table_KC.shape[0]


# A factor is a window's, [K, T, B, G, U], and has length 1 on an axis that shares its decisions.
SlotValues = Mapping[Slot, Tensor | Toss]


def edge_toss(
    edge: Edge,
    placements: Sequence[Placement],
    windows: Sequence[Window],
    layer: int,
    *,
    units: int,
    updates_K: Tensor | None = None,
    fill: Fill = Fill.ZERO,
    fold: bool = False,
) -> Toss | None:
    """The toss of `edge` at `layer`, one placement and one window a trial.

    None where no trial drops there with this `fill`, or where one has another noise than BERNOULLI:
    its multipliers are made of words and handed over as a factor. `fold` leaves out what
    `layer_factors` has moved into a weight. `units` is the width of what is masked.
    Raises AblateError for a coordinate that has no address.
    """
    given = [
        _live(edge, placement, window, layer, fill=fill, fold=fold)
        for placement, window in zip(placements, windows, strict=True)
    ]
    drops = [live[0] for live in given if live is not None]
    if not drops or any(drop.noise != BERNOULLI for drop in drops):
        return None
    check("unit", units - 1)
    device = torch.device(windows[0].device)
    if updates_K is None:
        updates_K = _numbers(windows)
    rows, scales = [], []
    for live, window in zip(given, windows, strict=True):
        row, scale = (_KEPT, 1.0) if live is None else _row(edge, *live, window, layer)
        rows.append(row)
        scales.append(scale)
    table = torch.tensor(rows, dtype=torch.int64, device=device)
    scale = torch.tensor(scales, dtype=torch.float32, device=device)
    apart = any(drop.shared.gate == 1 for drop in drops)
    return Toss(table, scale, updates_K, apart=apart)


def layer_tosses(
    placements: Sequence[Placement],
    windows: Sequence[Window],
    layer: int,
    *,
    hidden: int,
    updates_K: Tensor | None = None,
) -> dict[Slot, Toss]:
    """The tosses between two steps of one layer, by slot; arguments as of `edge_toss`.

    What is not here and yet is in some trial's `layer_factors` (means, other noises) stands there
    as a factor. Folded RECURRENT is not here either.
    """
    tosses: dict[Slot, Toss] = {}
    if updates_K is None:
        updates_K = _numbers(windows)
    for edge in INSIDE:
        for fill, table in ((Fill.ZERO, ZERO_SLOT), (Fill.HOLD, HOLD_SLOT)):
            toss = edge_toss(
                edge,
                placements,
                windows,
                layer,
                units=hidden,
                updates_K=updates_K,
                fill=fill,
                fold=True,
            )
            if toss is not None:
                tosses[table[edge]] = toss
    return {slot: tosses[slot] for slot in Slot if slot in tosses}


def _numbers(windows: Sequence[Window]) -> Tensor:
    """The windows' numbers, on their device."""
    numbers = [window.update for window in windows]
    return torch.tensor(numbers, dtype=torch.int64, device=windows[0].device)


def _live(
    edge: Edge, placement: Placement, window: Window, layer: int, *, fill: Fill, fold: bool
) -> tuple[Drop, float] | None:
    """The drop that tosses here and its rate; None where nothing is tossed."""
    drop = placement.get(edge)
    if drop is None or drop.fill is not fill or window.mode is Mode.MEAN:
        return None
    if fold and folds(edge, drop, window.mode):
        return None
    rate = drop.rate_of(rate_index(edge, layer))
    return None if rate == 0.0 else (drop, rate)


def _row(
    edge: Edge, drop: Drop, rate: float, window: Window, layer: int
) -> tuple[list[int], float]:
    """A trial's row of the table, in `Column`'s order, and its scale."""
    address, sharing = window.address(edge, layer), drop.shared
    seed, space = address.key

    def per(axis: str) -> int:
        return sharing.divisor(axis) or 0

    row = dict.fromkeys(Column, 0) | {
        Column.SEED: seed,
        Column.SPACE: space,
        Column.PER_UPDATE: per("update"),
        Column.PER_GATE: per("gate"),
        Column.PER_UNIT: per("unit"),
        Column.THRESHOLD: threshold(rate),
    }
    if edge is Edge.WEIGHT:
        row[Column.PER_BATCH] = per("source")
    else:
        check("time", window.start + window.time - 1)
        check("batch", window.batch_offset + window.batch - 1)
        row |= {
            Column.START: window.start,
            Column.PER_TIME: per("time"),
            Column.BATCH_OFFSET: window.batch_offset,
            Column.PER_BATCH: per("batch"),
            Column.WORD: int(sharing.word == 1),
        }
    return list(row.values()), 1.0 / (1.0 - rate) if drop.scale is Scale.TRAIN else 1.0
