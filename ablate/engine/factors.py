"""From a placement to numbers: the factor that stands at each slot of a layer's listing.

Training tosses; the deterministic evaluation takes each tossed value's mean under the placement.
Both give the same kind of table, so that every path of the engine is written once and knows neither
placements nor seeds.

Shapes: T time, B batch, G gates, U units, S source units; 1 where an axis shares a decision.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from ablate.drops import Drop, Fill, Scale
from ablate.edges import Edge
from ablate.engine.plan import Mode, folds
from ablate.masks import Address, Keep, activation_keeps, activation_words, weight_words
from ablate.noise import BERNOULLI, threshold
from ablate.placement import Placement


class Slot(Enum):
    """A place of one layer's step at which a factor acts: x * factor, or old + factor (new - old).

    Most are edges under another name. BEGIN and READ are how CELL's mean acts when a decision is
    longer than a step: the read is scaled, and the carried cell where a new decision begins.
    """

    INPUT = "x [T, B, D] before W_ih: times [T, B, G, D]"
    INPUT_WEIGHT = "W_ih [4H, D]: times [G, 1, D]"
    WEIGHT = "W_hh [4H, H]: times [G, H, H]"
    RECURRENT = "s_{t-1} before W_hh: times [T, B, G, H]"
    STATE_HOLD = "s_t = s_{t-1} + factor (h_t - s_{t-1}), [T, B, H]"
    UPDATE = "tanh(z_g): times [T, B, H]"
    BEGIN = "c_{t-1}: times [T, 1, 1]"
    CELL = "c~: times [T, B, H]"
    CELL_HOLD = "c~: c_{t-1} + factor (new - c_{t-1}), [T, B, H]"
    READ = "c~ inside tanh: times [1, 1, 1]"
    CARRY = "c_t: times [T, B, H]"
    CARRY_HOLD = "c_t: c_{t-1} + factor (c~ - c_{t-1}), [T, B, H]"
    HIDDEN = "h_t: times [T, B, H]"
    HIDDEN_HOLD = "h_t: s_{t-1} + factor (h~ - s_{t-1}), [T, B, H]"


Factors = Mapping[Slot, Tensor]

SILENT: Factors = MappingProxyType({})

ZERO_SLOT = {
    Edge.INPUT: Slot.INPUT,
    Edge.INTERLAYER: Slot.INPUT,
    Edge.WEIGHT: Slot.WEIGHT,
    Edge.RECURRENT: Slot.RECURRENT,
    Edge.HIDDEN: Slot.HIDDEN,
    Edge.UPDATE: Slot.UPDATE,
    Edge.CELL: Slot.CELL,
    Edge.CARRY: Slot.CARRY,
}
HOLD_SLOT = {
    Edge.RECURRENT: Slot.STATE_HOLD,
    Edge.HIDDEN: Slot.HIDDEN_HOLD,
    Edge.CELL: Slot.CELL_HOLD,
    Edge.CARRY: Slot.CARRY_HOLD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Where a call stands: all that a mask depends on besides the placement.

    `time` and `batch` are the window's lengths, `start` the first step's number in the sequence,
    `batch_offset` the first row's number in the whole batch, `update` the window's number.
    """

    seed: int
    update: int
    time: int
    batch: int
    start: int = 0
    batch_offset: int = 0
    stack: int = 0
    mode: Mode = Mode.TRAIN
    device: torch.device | str = "cpu"
    dtype: torch.dtype = torch.float32

    def address(self, edge: Edge, layer: int) -> Address:
        """The address of `edge` at `layer` in this window."""
        return Address(
            seed=self.seed,
            edge=edge,
            layer=layer,
            stack=self.stack,
            update=self.update,
            start=self.start,
            batch_offset=self.batch_offset,
        )


def _drawn(drop: Drop, rate: float, dtype: torch.dtype, draw: Callable[..., Tensor]) -> Tensor:
    """Call `draw` for words and make them the drop's multipliers."""
    if drop.noise == BERNOULLI:
        return draw(keep=_keep(drop, rate, dtype))
    return drop.noise.multiplier(draw(), rate).to(dtype)


def _keep(drop: Drop, rate: float, dtype: torch.dtype) -> Keep:
    return Keep(threshold(rate), 1.0 / (1.0 - rate) if drop.scale is Scale.TRAIN else 1.0, dtype)


def mean_factor(drop: Drop, rate: float) -> float:
    """The mean of a tossed multiplier under the placement (1 where training keeps the scale)."""
    if drop.noise != BERNOULLI:
        return drop.noise.mean(rate)
    return 1.0 if drop.scale is Scale.TRAIN else 1.0 - rate


def activation_mask(
    drop: Drop,
    edge: Edge,
    layer: int,
    index: int,
    units: int,
    window: Window,
    *,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """The tossed multipliers of an activation's edge, [T, B, G, U], 1 where an axis shares.

    For HOLD 1 takes the new value and 0 holds the old.
    """
    draw = partial(
        activation_words,
        window.address(edge, layer),
        drop.shared,
        time=window.time,
        batch=window.batch,
        units=units,
        tokens_TB=tokens_TB,
        device=window.device,
    )
    return _drawn(drop, drop.rate_of(index), window.dtype, draw)


def activation_masks(
    drops: Sequence[Drop],
    edge: Edge,
    layer: int,
    index: int,
    units: int,
    windows: Sequence[Window],
) -> Tensor:
    """`activation_mask` of K trials at once, [K, T, B, G, U]: Bernoulli drops that share alike."""
    rates = [drop.rate_of(index) for drop in drops]
    window = windows[0]
    return activation_keeps(
        [own.address(edge, layer) for own in windows],
        drops[0].shared,
        time=window.time,
        batch=window.batch,
        units=units,
        keeps=[_keep(drop, rate, window.dtype) for drop, rate in zip(drops, rates, strict=True)],
        device=window.device,
    )


def sequence_factor(
    edge: Edge,
    layer: int,
    placement: Placement,
    window: Window,
    units: int,
    *,
    tokens_TB: Tensor | None = None,
    drawn: Mapping[Edge, Tensor] = MappingProxyType({}),
) -> Tensor | None:
    """The factor [T, B, U] of an edge outside the layers (EMBEDDING, OUTPUT); None where it is 1.

    Axes that share a decision have length 1.
    """
    drop = placement.get(edge)
    if drop is None:
        return None
    if window.mode is Mode.MEAN:
        mean = mean_factor(drop, drop.rate_of(0))
        return None if mean == 1.0 else _full(mean, window, (1, 1, 1))
    if edge in drawn:
        return drawn[edge]
    return activation_mask(drop, edge, layer, 0, units, window, tokens_TB=tokens_TB)[:, :, 0]


def weight_mask(drop: Drop, layer: int, index: int, units: int, window: Window) -> Tensor:
    """The tossed multipliers of W_hh, [G, U, S]."""
    draw = partial(
        weight_words,
        window.address(Edge.WEIGHT, layer),
        drop.shared,
        sources=units,
        units=units,
        device=window.device,
    )
    return _drawn(drop, drop.rate_of(index), window.dtype, draw)


def layer_factors(
    placement: Placement,
    layer: int,
    window: Window,
    *,
    inputs: int,
    hidden: int,
    fold: bool = True,
    drawn: Mapping[Edge, Tensor] = MappingProxyType({}),
) -> Factors:
    """The factors of one layer in one window, by slot; slots that would be 1 are left out.

    `inputs` is the width of the layer's input. EMBEDDING and OUTPUT act outside the layers and are
    not here. Foldable RECURRENT masks arrive folded into WEIGHT, unless `fold` is False. `drawn`
    has masks that a cohort drew for its trials at once.
    """
    vertical = Edge.INPUT if layer == 0 else Edge.INTERLAYER
    factors: dict[Slot, Tensor] = {}
    for edge, drop in placement.items():
        if edge in Edge.EMBEDDING | Edge.OUTPUT or (edge in Edge.VERTICAL and edge is not vertical):
            continue
        index = rate_index(edge, layer)
        rate = drop.rate_of(index)
        if rate == 0.0:
            continue
        if window.mode is Mode.MEAN:
            factors |= _means(edge, drop, rate, window)
            continue
        if edge is Edge.WEIGHT:
            factors[Slot.WEIGHT] = weight_mask(drop, layer, index, hidden, window)
            continue
        units = inputs if edge is vertical else hidden
        factors[slot_of(edge, drop)] = (
            drawn[edge]
            if edge in drawn
            else activation_mask(drop, edge, layer, index, units, window)
        )
    return _fold(factors, placement, vertical, window.mode) if fold else factors


def slot_of(edge: Edge, drop: Drop) -> Slot:
    """Where the multipliers of a drop act."""
    return (HOLD_SLOT if drop.fill is Fill.HOLD else ZERO_SLOT)[edge]


def _full(value: float, window: Window, shape: tuple[int, ...] = (1, 1, 1, 1)) -> Tensor:
    return torch.full(shape, value, dtype=window.dtype, device=window.device)


def rate_index(edge: Edge, layer: int) -> int:
    """Which of a drop's rates is that of `edge` at `layer`."""
    if edge in Edge.EMBEDDING | Edge.OUTPUT:
        return 0
    return layer - 1 if edge is Edge.INTERLAYER else layer


def _means(edge: Edge, drop: Drop, rate: float, window: Window) -> dict[Slot, Tensor]:
    """What the deterministic evaluation puts in place of a tossed factor."""
    if drop.fill is Fill.HOLD:
        return {HOLD_SLOT[edge]: _full(1.0 - rate, window)}
    mean = mean_factor(drop, rate)
    if mean == 1.0:
        return {}
    if edge is Edge.WEIGHT:
        return {Slot.WEIGHT: _full(mean, window, (1, 1, 1))}
    time = drop.shared.divisor("time")
    if edge is not Edge.CELL or time == 1:
        return {ZERO_SLOT[edge]: _full(mean, window)}
    # Within a decision m * m = m, so that the cell accumulates unscaled and each read is scaled
    # once; a new decision multiplies what the one before it left.
    means = {Slot.READ: _full(mean, window)}
    if time is not None:
        steps = torch.arange(window.start, window.start + window.time, device=window.device)
        begins = (steps % time == 0) & (steps > 0)
        means[Slot.BEGIN] = torch.where(begins, _full(mean, window), _full(1.0, window)).view(
            -1, 1, 1, 1
        )
    return means


def _fold(factors: dict[Slot, Tensor], placement: Placement, vertical: Edge, mode: Mode) -> Factors:
    """Move factors that are constant over window and batch into the columns of their weights."""
    for edge, slot, weight in (
        (vertical, Slot.INPUT, Slot.INPUT_WEIGHT),
        (Edge.RECURRENT, Slot.RECURRENT, Slot.WEIGHT),
    ):
        if slot in factors and folds(edge, placement[edge], mode):
            columns = factors.pop(slot)[0, 0][:, None, :]
            factors[weight] = factors[weight] * columns if weight in factors else columns
    return factors
