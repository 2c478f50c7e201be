"""What one-step windows tell of an edge: rate, kept value, sharing but for time.

Shapes: N draws, B batch, G gates, H hidden.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.edge_factors import Factors
from ablate.auditing.estimate import Estimate, estimate
from ablate.auditing.findings import Finding
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import Array
from ablate.drops import ALL, Extent, Fill
from ablate.edges import Edge

UNITS: Final = 64  # as many units of a wide module are looked at
FEW_VALUES: Final = 24

_AXES = ("update", "batch", "gate", "unit")
_OF_WEIGHT = ("update", "gate", "unit", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft(Estimate):
    """What one-step windows tell of an edge: rate, kept value, sharing but for time."""

    place: LayerEdge
    shared: Mapping[str, Extent]
    written: bool = False

    def finding(self, timed: Mapping[LayerEdge, Extent]) -> Finding:
        """The finding, with the sharing over time that other windows tell."""
        over = dict(self.shared)
        # WEIGHT has no axis of time: that it is one mask a window is what it should be.
        steady = self.place.edge is Edge.WEIGHT and timed.get(self.place) is ALL
        if not self.written and not steady:
            over = {"time": timed.get(self.place)} | over
        return Finding(
            **self.estimated(),
            edge=self.place.edge,
            layer=self.place.layer,
            fill=Fill.HOLD if self.place.hold else Fill.ZERO,
            evaluation=None,
            sharing=over,
            written=self.written,
        )


def poor(draft: Draft) -> bool:
    """Whether more draws would tell more."""
    if draft.kept == 0.0 and not draft.place.hold:
        return False
    unknown = any(value is None for axis, value in draft.shared.items())
    return unknown or draft.rarer < sharing.SURE


def drafts_of(found: Factors) -> Iterator[Draft]:
    for place, values in found.by_edge.items():
        missed = found.missed.get(place.layer, 0.0) if is_cell(place) else 0.0
        if sharing.activity(values) or missed:
            draft = _draft(place, values, missed)
            # A ratio of paths that other masks all but close may stray in its last few values.
            if draft.rate or int((~np.isnan(values)).sum()) >= FEW_VALUES:
                yield draft
    for layer, values in found.state.items():
        draft = _draft(LayerEdge(Edge.RECURRENT, layer), values, 0.0)
        yield replace(draft, written=True, place=LayerEdge(Edge.HIDDEN, layer))


def is_cell(place: LayerEdge) -> bool:
    return place.edge is Edge.CELL and not place.hold


def _draft(place: LayerEdge, values: Array, missed: float) -> Draft:
    values, axes = by_axes(place, values)
    pairs = int((~np.isnan(values)).sum())
    order = ("gate", "batch", "unit", "source", "update")
    # An edge that all gates read as one has one gate.
    known = {
        axis: axes.index(axis)
        for axis in order
        if axis in axes and not (axis == "gate" and values.shape[axes.index(axis)] == 1)
    }
    values, shared = sharing.apart(values, known)
    # What both readers miss is counted over all pairs of them: whose decision it was is not seen.
    found = estimate(values, missed=missed, pairs=pairs)
    return Draft(**found.estimated(), place=place, shared=shared)


def by_axes(place: LayerEdge, values: Array) -> tuple[Array, tuple[str, ...]]:
    """The values of an edge and what their axes are."""
    if place.edge is Edge.WEIGHT:
        return _by_source(values), _OF_WEIGHT
    return values[..., :UNITS], _AXES


def _by_source(table: Array) -> Array:
    """WEIGHT as [N, G, row, source], from what each row read at each shift."""
    count, gates, shifts, rows = table.shape
    wide = min(rows, UNITS)
    made = np.full((count, gates, wide, wide), np.nan)
    for number in range(shifts):
        # The shifts are 0, 1 and 3, reduced to the width.
        shift = sorted({step % rows for step in (0, 1, 3)})[number]
        for row in range(wide):
            source = (row + shift) % rows
            if source < wide:
                made[:, :, row, source] = table[:, :, number, row]
    return made
