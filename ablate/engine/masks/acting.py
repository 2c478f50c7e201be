"""The drops that act at each site of a cohort, and the tables from which training samples them.

Shapes: K trials, T time, B batch, G gates, U units, S source units; 1 where an axis shares.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import torch

from ablate.drops import Drop, Scale
from ablate.edges import Edge, rate_index
from ablate.engine import sites
from ablate.engine.masks.table import Joined, MaskTable, Source
from ablate.engine.plan import Mode, folds
from ablate.engine.sites import Site, site_of
from ablate.engine.window import MaskSpec
from ablate.masks import Coordinates
from ablate.noise import BERNOULLI


class Form(Enum):
    """How multipliers [K, T, B, G, U] become a site's factor."""

    ACTIVATION = "as they are"
    COLUMN = "of a weight's columns: [K, G, 1, U]"
    WEIGHT = "of a weight, whose sources are rows: [K, G, U, S]"


class Mask(NamedTuple):
    """The multipliers of one site of one layer: their form and their source."""

    site: Site
    form: Form
    source: Source


class Acting(NamedTuple):
    """A drop that acts in one trial at one layer, and its rate there."""

    drop: Drop
    rate: float


def acting_at(edge: Edge, layer: int, trial: MaskSpec) -> Acting | None:
    """A trial's drop at this edge and layer; None where the rate is 0 or there is no drop."""
    drop = trial.placement.get(edge)
    rate = 0.0 if drop is None else drop.rate_of(rate_index(edge, layer))
    return Acting(drop, rate) if drop is not None and rate else None


def place_of(edge: Edge, drop: Drop, *, fold: bool) -> tuple[Site, Form]:
    """The site and the form of training's multipliers."""
    if edge is Edge.WEIGHT:
        return sites.WEIGHT, Form.WEIGHT
    if fold and folds(edge, drop, Mode.TRAIN):
        return sites.WEIGHT if edge is Edge.RECURRENT else sites.INPUT_WEIGHT, Form.COLUMN
    return site_of(edge, drop.fill), Form.ACTIVATION


def table_of(
    edge: Edge,
    layer: int,
    trials: Sequence[MaskSpec],
    acting: Sequence[Acting | None],
    units: int,
    gates: int,
) -> Source:
    """The tables of an edge that acts in some trials: one for each noise and sharing of units.

    A layer's `gates` are those of its cell.
    """
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
            [
                window.address(edge, layer, own.drop.shared)
                for window, own in zip(windows, drops, strict=True)
            ],
            [own.drop.shared for own in drops],
            time=1 if weight else windows[0].time,
            batch=units if weight else windows[0].batch,
            units=units,
            gates=gates,
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


def mean_factor(drop: Drop, rate: float) -> float:
    """The mean of a sampled multiplier (1 where training divides by 1 - p)."""
    if drop.noise != BERNOULLI:
        return drop.noise.mean(rate)
    return 1.0 if drop.scale is Scale.TRAIN else 1.0 - rate
