"""An edge of one layer, and what a placement means there."""

from dataclasses import dataclass

from ablate.drops import Drop, Fill
from ablate.edges import Edge, layers_of
from ablate.placement import Placement


@dataclass(frozen=True, slots=True)
class LayerEdge:
    """An edge at a layer; `hold` tells the two fills apart."""

    edge: Edge
    layer: int
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What a placement means at one edge of one layer."""

    edge: Edge
    layer: int
    rate: float
    drop: Drop

    @property
    def at(self) -> LayerEdge:
        """Where in a module the drop is looked for."""
        return LayerEdge(self.edge, self.layer, hold=self.drop.fill is Fill.HOLD)


def expected(placement: Placement, layers: int) -> tuple[Expected, ...]:
    """What a placement means, layer by layer."""
    placement.check(layers)
    return tuple(
        Expected(edge, layer, drop.rate_of(index), drop)
        for edge, drop in placement.within(layers).items()
        for index, layer in enumerate(layers_of(edge, layers))
        if drop.rate_of(index)
    )
