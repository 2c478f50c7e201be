"""What a placement means at one edge of one layer."""

from dataclasses import dataclass

from ablate.drops import Drop
from ablate.edges import Edge, layers_of
from ablate.placement import Placement


@dataclass(frozen=True, slots=True)
class Meant:
    """What a placement means at one edge of one layer."""

    edge: Edge
    layer: int
    rate: float
    drop: Drop


def meant(placement: Placement, layers: int) -> tuple[Meant, ...]:
    """What a placement means, layer by layer."""
    placement.check(layers)
    return tuple(
        Meant(edge, layer, drop.rate_of(index), drop)
        for edge, drop in placement.within(layers).items()
        for index, layer in enumerate(layers_of(edge, layers))
        if drop.rate_of(index)
    )
