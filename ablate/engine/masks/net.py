"""From placements to factors: the factor at each site of each layer.

Training samples a multiplier; deterministic evaluation takes the multiplier's mean. Both are a
`Source`: the paths of the engine read factors and know neither placements nor seeds. A trial does
not depend on the other trials of its cohort. Where only others use a site, its factor there is 1,
which changes no bit of it.

Shapes: K trials, T time, B batch, G gates, U units, S source units; 1 where an axis shares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from ablate.addresses import check_types
from ablate.cells import LSTM, Cell
from ablate.drops import Drop
from ablate.edges import Edge, rate_index
from ablate.engine.masks.acting import (
    Acting,
    Form,
    Mask,
    acting_at,
    mean_factor,
    place_of,
    table_of,
)
from ablate.engine.masks.means import mean_masks, means_of
from ablate.engine.masks.table import Clock, Source
from ablate.engine.plan import Mode
from ablate.engine.sites import Factors, Site
from ablate.engine.window import MaskSpec, Window
from ablate.placement import Placement


@dataclass(frozen=True, slots=True)
class NetMasks:
    """All factors of K trials' placements, in windows of one shape; None where no trial drops."""

    clock: Clock
    embedding: Source | None
    layers: tuple[tuple[Mask, ...], ...]
    output: Source | None

    @classmethod
    def of(
        cls,
        trials: Sequence[MaskSpec],
        *,
        inputs: int,
        hidden: int,
        layers: int,
        cell: Cell = LSTM,
        directions: int = 1,
        clock: Clock | None = None,
        words: int | None = None,
        fold: bool = True,
    ) -> "NetMasks":
        """The masks of a net of `layers` layers of `hidden` units of a cell, that reads `inputs`.

        Of several `directions`, whose outputs the layer above reads side by side, these are one's.
        Unless there is a `clock`, the windows' updates stand. `words` is the size of the vocabulary
        where it is known. Masks that are constant over window and batch move into the columns of
        their weights, unless `fold` is False. Raises AblateError for a coordinate without an
        address.
        """
        # A rule says which layers drop: resolve it for this depth once.
        trials = [trial._replace(placement=trial.placement.within(layers)) for trial in trials]
        if clock is None:
            windows = [window for _, window in trials]
            clock = Clock.at([own.update for own in windows], device=windows[0].device)
        for placement, _ in trials:
            drop = placement.get(Edge.EMBEDDING)
            if drop and words is not None:
                check_types(drop.shared, words)
        above = hidden * directions
        each = [
            _layer_masks(
                trials,
                layer,
                inputs=above if layer else inputs,
                hidden=hidden,
                gates=len(cell.gates),
                fold=fold,
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
        """A layer's factors in this window, K in front; sites that would be 1 are left out."""
        made: dict[Site, Tensor] = {}
        for site, form, source in self.layers[layer]:
            factor = source.draw(self.clock)
            if form is Form.COLUMN:
                factor = factor[:, 0, 0].unsqueeze(2)
            elif form is Form.WEIGHT:
                factor = factor[:, 0].permute(0, 2, 3, 1)
            made[site] = made[site] * factor if site in made else factor
        return made


def sequence_source(
    edge: Edge, layer: int, trials: Sequence[MaskSpec], units: int
) -> Source | None:
    """What an edge outside the layers (EMBEDDING, OUTPUT) multiplies by; None where it is 1."""
    acting = [acting_at(edge, layer, trial) for trial in trials]
    if not any(acting):
        return None
    if trials[0].window.mode is Mode.TRAIN:
        return table_of(edge, layer, trials, acting, units, 1)
    means = [1.0 if own is None else mean_factor(*own) for own in acting]
    return None if all(mean == 1.0 for mean in means) else means_of(means, trials[0].window)


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
    source = sequence_source(edge, layer, [MaskSpec(placement, window)], x_TBU.shape[-1])
    if source is None:
        return x_TBU
    clock = Clock.at([window.update], device=window.device)
    return _dropped(x_TBU.unsqueeze(0), source, clock, tokens_TB).squeeze(0)


def mask(
    drop: Drop,
    edge: Edge,
    layer: int,
    units: int,
    window: Window,
    *,
    cell: Cell = LSTM,
    tokens_TB: Tensor | None = None,
) -> Tensor:
    """The multipliers that training draws at one edge: [T, B, G, U], WEIGHT's [G, U, S].

    1 where an axis shares. A rule by layer is written out: `placement.within(layers)[edge]`.
    """
    own = Acting(drop, drop.rate_of(rate_index(edge, layer)))
    table = table_of(edge, layer, [MaskSpec(Placement(), window)], [own], units, len(cell.gates))
    drawn = table.draw(Clock.at([window.update], device=window.device), tokens_TB)[0]
    return drawn[0].permute(1, 2, 0) if edge is Edge.WEIGHT else drawn


def _layer_masks(
    trials: Sequence[MaskSpec], layer: int, *, inputs: int, hidden: int, gates: int, fold: bool
) -> tuple[Mask, ...]:
    """The masks of one layer, in the order of the sites."""
    vertical = Edge.INTERLAYER if layer else Edge.INPUT
    masks: list[Mask] = []
    for edge in Edge:
        if edge in Edge.EMBEDDING | Edge.OUTPUT or (edge in Edge.VERTICAL and edge is not vertical):
            continue
        acting = [acting_at(edge, layer, trial) for trial in trials]
        if not any(acting):
            continue
        if trials[0].window.mode is Mode.MEAN:
            masks += mean_masks(edge, acting, trials, fold=fold)
            continue
        units = inputs if edge is vertical else hidden
        # Trials may fill, and fold, the same edge otherwise: each to its own site.
        places = [None if own is None else place_of(edge, own.drop, fold=fold) for own in acting]
        for place in dict.fromkeys(filter(None, places)):
            here = [own if at == place else None for own, at in zip(acting, places, strict=True)]
            masks.append(Mask(*place, table_of(edge, layer, trials, here, units, gates)))
    return tuple(sorted(masks, key=lambda own: own.site))


def _dropped(
    x_KTBU: Tensor, source: Source | None, clock: Clock, tokens_TB: Tensor | None = None
) -> Tensor:
    # A sequence outside the layers has no gates.
    return x_KTBU if source is None else x_KTBU * source.draw(clock, tokens_TB)[:, :, :, 0]
