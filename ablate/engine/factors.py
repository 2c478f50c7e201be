"""From placements to numbers: the factor that stands at each slot of each layer's listing.

Training draws; the deterministic evaluation takes each drawn value's mean under the placement.
Both give the same kind of source, so that every path of the engine is written once and knows
neither placements nor seeds. A trial never knows its companions: where one has a slot that it has
not, its factor there is 1, which changes no bit of it.

Shapes: K trials, T time, B batch, G gates, U units, S source units; 1 where an axis shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.drops import Drop, Fill, Scale
from ablate.edges import Edge
from ablate.engine.plan import Mode, folds
from ablate.engine.slots import (
    HOLD_SLOT,
    ZERO_SLOT,
    Factors,
    Slot,
    Trial,
    Window,
    mean_factor,
    rate_index,
    slot_of,
)
from ablate.engine.table import Clock, Joined, MaskTable, Means, Source
from ablate.masks import Coordinates, check_types
from ablate.placement import Placement


class Form(Enum):
    """How multipliers [K, T, B, G, U] become a slot's factor."""

    ACTIVATION = "as they are"
    COLUMN = "of a weight's columns: [K, G, 1, U]"
    WEIGHT = "of a weight, whose sources are rows: [K, G, U, S]"


class Mask(NamedTuple):
    """What stands at one slot of one layer."""

    slot: Slot
    form: Form
    source: Source


class Acting(NamedTuple):
    """A drop that acts in one trial at one layer, and its rate there."""

    drop: Drop
    rate: float


@dataclass(frozen=True, slots=True)
class NetMasks:
    """Everything that K trials' placements multiply a net by, in windows of one shape.

    None where no trial drops.
    """

    clock: Clock
    embedding: Source | None
    layers: tuple[tuple[Mask, ...], ...]
    output: Source | None

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        *,
        inputs: int,
        hidden: int,
        layers: int,
        clock: Clock | None = None,
        words: int | None = None,
        fold: bool = True,
    ) -> "NetMasks":
        """The masks of a net of `layers` layers of `hidden` units that reads `inputs`.

        Unless there is a `clock`, the windows' updates stand. `words` is the size of the vocabulary
        where it is known. Masks that are constant over window and batch move into the columns of
        their weights, unless `fold` is False. Raises AblateError for a coordinate without an
        address.
        """
        if clock is None:
            windows = [window for _, window in trials]
            clock = Clock.at([own.update for own in windows], device=windows[0].device)
        for placement, _ in trials:
            drop = placement.get(Edge.EMBEDDING)
            if drop and words is not None:
                check_types(drop.shared, words)
        each = [
            _layer_masks(
                trials, layer, inputs=hidden if layer else inputs, hidden=hidden, fold=fold
            )
            for layer in range(layers)
        ]
        return cls(
            clock,
            sequence_source(Edge.EMBEDDING, 0, trials, inputs),
            tuple(each),
            sequence_source(Edge.OUTPUT, layers - 1, trials, hidden),
        )

    def drop_words(self, x_KTBD: Tensor, tokens_TB: Tensor) -> Tensor:
        """Apply EMBEDDING to the vectors of the words `tokens_TB`."""
        return _dropped(x_KTBD, self.embedding, self.clock, tokens_TB)

    def drop_output(self, y_KTBH: Tensor) -> Tensor:
        """Apply OUTPUT."""
        return _dropped(y_KTBH, self.output, self.clock)

    def factors(self, layer: int) -> Factors:
        """A layer's factors in this window, K in front; slots that would be 1 are left out."""
        made: dict[Slot, Tensor] = {}
        for slot, form, source in self.layers[layer]:
            factor = source.draw(self.clock)
            if form is Form.COLUMN:
                factor = factor[:, 0, 0].unsqueeze(2)
            elif form is Form.WEIGHT:
                factor = factor[:, 0].permute(0, 2, 3, 1)
            made[slot] = made[slot] * factor if slot in made else factor
        return made


def sequence_source(edge: Edge, layer: int, trials: Sequence[Trial], units: int) -> Source | None:
    """What an edge outside the layers (EMBEDDING, OUTPUT) multiplies by; None where it is 1."""
    acting = [_acting(edge, layer, trial) for trial in trials]
    if not any(acting):
        return None
    if trials[0].window.mode is Mode.TRAIN:
        return _drawn(edge, layer, trials, acting, units)
    means = [1.0 if own is None else mean_factor(*own) for own in acting]
    return None if all(mean == 1.0 for mean in means) else _means(means, trials[0].window)


def drop_sequence(
    x_TBU: Tensor,
    edge: Edge,
    layer: int,
    placement: Placement,
    window: Window,
    *,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """Apply an edge that acts on a whole sequence outside the layers (EMBEDDING, OUTPUT)."""
    source = sequence_source(edge, layer, [Trial(placement, window)], x_TBU.shape[-1])
    clock = Clock.at([window.update], device=window.device)
    return _dropped(x_TBU.unsqueeze(0), source, clock, tokens_TB).squeeze(0)


def mask(
    drop: Drop,
    edge: Edge,
    layer: int,
    units: int,
    window: Window,
    *,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """The multipliers that training draws at one edge: [T, B, G, U], WEIGHT's [G, U, S].

    1 where an axis shares.
    """
    own = Acting(drop, drop.rate_of(rate_index(edge, layer)))
    table = _drawn(edge, layer, [Trial(Placement(), window)], [own], units)
    drawn = table.draw(Clock.at([window.update], device=window.device), tokens_TB)[0]
    return drawn[0].permute(1, 2, 0) if edge is Edge.WEIGHT else drawn


def _layer_masks(
    trials: Sequence[Trial], layer: int, *, inputs: int, hidden: int, fold: bool
) -> tuple[Mask, ...]:
    """The masks of one layer, in the order of the slots."""
    vertical = Edge.INTERLAYER if layer else Edge.INPUT
    masks: list[Mask] = []
    for edge in Edge:
        if edge in Edge.EMBEDDING | Edge.OUTPUT or (edge in Edge.VERTICAL and edge is not vertical):
            continue
        acting = [_acting(edge, layer, trial) for trial in trials]
        if not any(acting):
            continue
        if trials[0].window.mode is Mode.MEAN:
            masks += _mean_masks(edge, acting, trials, fold=fold)
            continue
        units = inputs if edge is vertical else hidden
        # Trials may fill, and fold, the same edge otherwise: each to its own slot.
        places = [None if own is None else _place(edge, own.drop, fold=fold) for own in acting]
        for place in dict.fromkeys(filter(None, places)):
            here = [own if at == place else None for own, at in zip(acting, places, strict=True)]
            masks.append(Mask(*place, _drawn(edge, layer, trials, here, units)))
    order = list(Slot)
    return tuple(sorted(masks, key=lambda own: order.index(own.slot)))


def _acting(edge: Edge, layer: int, trial: Trial) -> Acting | None:
    """The drop of a trial at this edge and layer; None where it never drops."""
    drop = trial.placement.get(edge)
    rate = 0.0 if drop is None else drop.rate_of(rate_index(edge, layer))
    return Acting(drop, rate) if drop is not None and rate else None


def _place(edge: Edge, drop: Drop, *, fold: bool) -> tuple[Slot, Form]:
    """Where training's multipliers act, and in which form."""
    if edge is Edge.WEIGHT:
        return Slot.WEIGHT, Form.WEIGHT
    if fold and folds(edge, drop, Mode.TRAIN):
        return Slot.WEIGHT if edge is Edge.RECURRENT else Slot.INPUT_WEIGHT, Form.COLUMN
    return slot_of(edge, drop), Form.ACTIVATION


def _drawn(
    edge: Edge,
    layer: int,
    trials: Sequence[Trial],
    acting: Sequence[Acting | None],
    units: int,
) -> Source:
    """The table of an edge that acts in some trials: one for each noise and sharing of units."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for k, own in enumerate(acting):
        if own is not None:
            alike = (own.drop.noise, own.drop.shared.divisor("unit"))
            groups.setdefault(alike, []).append(k)
    device = trials[0].window.device
    parts = []
    for members in groups.values():
        drops = [own for own in (acting[k] for k in members) if own is not None]
        windows = [trials[k].window for k in members]
        weight = edge is Edge.WEIGHT
        at = Coordinates.of(
            [window.address(edge, layer) for window in windows],
            [own.drop.shared for own in drops],
            time=1 if weight else windows[0].time,
            batch=units if weight else windows[0].batch,
            units=units,
            device=device,
        )
        table = MaskTable.of(
            at,
            drops[0].drop.noise,
            [own.rate for own in drops],
            [own.drop.scale is Scale.TRAIN for own in drops],
            dtype=windows[0].dtype,
            device=device,
        )
        parts.append((torch.tensor(members, device=device), table))
    if len(parts) == 1 and len(parts[0][0]) == len(trials):
        return parts[0][1]
    return Joined(len(trials), tuple(parts))


def _mean_masks(
    edge: Edge, acting: Sequence[Acting | None], trials: Sequence[Trial], *, fold: bool
) -> list[Mask]:
    """What the deterministic evaluation puts in place of drawn multipliers."""
    found: dict[tuple[Slot, Form], list[float]] = {}
    begins: dict[int, float] = {}

    def put(slot: Slot, form: Form, k: int, mean: float) -> None:
        found.setdefault((slot, form), [1.0] * len(acting))[k] = mean

    for k, own in enumerate(acting):
        if own is None:
            continue
        mean = 1.0 - own.rate if own.drop.fill is Fill.HOLD else mean_factor(*own)
        if own.drop.fill is Fill.HOLD:
            put(HOLD_SLOT[edge], Form.ACTIVATION, k, mean)
        elif mean == 1.0:
            continue
        elif edge is Edge.CELL and own.drop.shared.divisor("time") != 1:
            # Within a decision m * m = m, so that the cell accumulates unscaled and each read is
            # scaled once; a new decision multiplies what the one before it left.
            put(Slot.READ, Form.ACTIVATION, k, mean)
            begins[k] = mean
        elif edge is Edge.WEIGHT or (fold and folds(edge, own.drop, Mode.MEAN)):
            put(Slot.WEIGHT, Form.COLUMN, k, mean)
        else:
            put(ZERO_SLOT[edge], Form.ACTIVATION, k, mean)
    masks = [Mask(*place, _means(means, trials[0].window)) for place, means in found.items()]
    divisors = {k: acting[k].drop.shared.divisor("time") for k in begins}  # pyright: ignore[reportOptionalMemberAccess]
    if any(divisors.values()):
        masks.append(Mask(Slot.BEGIN, Form.ACTIVATION, _begins(begins, divisors, trials)))
    return masks


def _means(means: Sequence[float], window: Window) -> Means:
    made = torch.tensor(means, dtype=window.dtype, device=window.device)
    return Means(made.view(-1, 1, 1, 1, 1))


def _begins(
    means: dict[int, float], divisors: dict[int, int | None], trials: Sequence[Trial]
) -> Means:
    """CELL's mean at those steps at which a new decision begins, made from its divisor."""
    like = trials[0].window
    factor_KT = torch.ones(len(trials), like.time, dtype=like.dtype, device=like.device)
    for k, mean in means.items():
        divisor, start = divisors[k], trials[k].window.start
        steps_T = torch.arange(start, start + like.time, device=like.device)
        if divisor is not None:
            factor_KT[k, (steps_T % divisor == 0) & (steps_T > 0)] = mean
    return Means(factor_KT.view(len(trials), -1, 1, 1, 1))


def _dropped(
    x_KTBU: Tensor, source: Source | None, clock: Clock, tokens_TB: Tensor | None = None
) -> Tensor:
    # A sequence outside the layers has no gates.
    return x_KTBU if source is None else x_KTBU * source.draw(clock, tokens_TB)[:, :, :, 0]
