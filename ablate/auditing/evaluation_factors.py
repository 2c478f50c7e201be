"""What stands at each edge in evaluation, read off the same paths as in training.

Shapes: as in `probes`; no mask is sampled, so that one call tells all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ablate.auditing.findings import Finding
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import Array, StepReadings
from ablate.edges import Edge

# Units of a module that multiplies each by one number differ by less than this part.
_ALIKE = 1e-4


@dataclass(frozen=True, slots=True)
class EvaluationFactor:
    """What stands at an edge in evaluation, with the error of what was presumed of others."""

    value: float
    error: float = 0.0


def evaluation_factors(
    seen: StepReadings, findings: Sequence[Finding]
) -> dict[LayerEdge, EvaluationFactor | None]:
    """The factor of each edge that acts (of a held one: the part of the old value that is kept).

    None where it is not seen: nothing is read there in evaluation, or no two units read the same.
    """
    by_place = {finding.at: finding for finding in findings if not finding.written}
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {place: _factor(seen, place, by_place) for place in by_place}
    return {
        place: still if still is not None and np.isfinite(still.value) else None
        for place, still in found.items()
    }


def _factor(
    seen: StepReadings, place: LayerEdge, findings: dict[LayerEdge, Finding]
) -> EvaluationFactor | None:
    layer, edge = place.layer, place.edge
    held = _held(seen, layer, top=layer == len(seen.carried_c) - 1)
    if LayerEdge(Edge.CARRY, layer, hold=True) not in findings:
        # What the cell has of a value that CELL holds is what CARRY lets through.
        held[Edge.CARRY] = np.float64(0.0)
    if place.hold:
        return EvaluationFactor(held[edge])

    def beside(value: float, other: Edge) -> EvaluationFactor:
        """What is left of a product with another edge, if that is as it should be."""
        finding = findings.get(LayerEdge(other, layer))
        if finding is None or not finding.unscaled:
            return EvaluationFactor(float(value))
        alone = float(value) / (1.0 - finding.rate)
        return EvaluationFactor(alone, abs(alone) * finding.error / (1.0 - finding.rate))

    new_c = (1.0 - held[Edge.CELL]) * (1.0 - held[Edge.CARRY])
    new_s = (1.0 - held[Edge.CELL]) * (1.0 - held[Edge.HIDDEN]) * (1.0 - held[Edge.RECURRENT])
    carried = 2.0 * _of(seen.carried_c[layer] - seen.kept_c[layer]) / new_c
    shown = 2.0 * _of(seen.carried_s[layer] - seen.kept_s[layer]) / new_s
    if edge is Edge.CELL:
        # Every reader sees it; how far the cell itself is scaled depends on the sharing over time.
        return beside(shown, Edge.HIDDEN)
    if edge is Edge.HIDDEN:
        return beside(shown, Edge.CELL)
    if edge is Edge.CARRY:
        cell = findings.get(LayerEdge(Edge.CELL, layer))
        if cell is None:
            return EvaluationFactor(float(carried))
        # Fresh at each step CELL scales what is carried too; when that is not seen, nor is this.
        often = cell.sharing.get("time")
        if often is None:
            return None
        return beside(carried, Edge.CELL) if often == 1 else EvaluationFactor(float(carried))
    if edge is Edge.UPDATE:
        return EvaluationFactor(float(_of(seen.written_c[layer]) / (carried * new_c)))
    if edge is Edge.OUTPUT:
        through = _of(seen.written_y) / _of(seen.written_s[layer])
        return EvaluationFactor(float(through * (1.0 - held[Edge.RECURRENT])))
    if edge in Edge.VERTICAL:
        below = _held(seen, layer - 1, top=False)[Edge.RECURRENT] if layer else 0.0
        return EvaluationFactor(float(_read_of(seen.input, layer) * (1.0 - below)))
    both = _read_of(seen.recurrent, layer)
    return beside(both, Edge.WEIGHT if edge is Edge.RECURRENT else Edge.RECURRENT)


def _held(seen: StepReadings, layer: int, *, top: bool) -> dict[Edge, np.float64]:
    """The part of the old value that is kept, at each edge that can hold."""
    if top:
        through, shown = _of(seen.written_y) / _of(seen.written_s[layer]), _of(seen.kept_y)
    else:
        through, shown = _read_of(seen.input, layer + 1), _of(seen.kept_up[layer + 1])
    state = _of(seen.kept_h[layer])
    # With D what lies above, H and R the parts kept at HIDDEN and RECURRENT:
    # through = D / (1 - R), shown = D H, state = R + (1 - R) H.
    # Where what goes up is not seen, what is held is presumed to be the state's.
    recurrent = state - np.nan_to_num(shown / through) if state else np.float64(0.0)
    hidden = (state - recurrent) / (1.0 - recurrent)
    # The state has D of a cell, whose old value is kept whole (C) or passed by half (1 - C):
    # kept = D C, carried = D (C + (1 - C) / 2).
    kept, carried = _of(seen.kept_s[layer]), _of(seen.carried_s[layer])
    cell = kept / (2.0 * carried - kept) if kept else np.float64(0.0)
    return {
        Edge.CELL: cell,
        Edge.CARRY: (_of(seen.kept_c[layer]) - cell) / (1.0 - cell),
        Edge.HIDDEN: hidden,
        Edge.RECURRENT: recurrent,
    }


def _of(values: Array) -> np.float64:
    """What every value says; NaN where none does, or where they differ."""
    known = values[~np.isnan(values)]
    if not known.size or float(np.ptp(known)) > _ALIKE * float(abs(known).max()):
        return np.float64(np.nan)
    return np.float64(np.median(known))


def _read_of(table: dict[tuple[int, int, int], Array], layer: int) -> np.float64:
    """What the layer's gates i and g read, each unit through its own row.

    The other two are read off a value of which a part may be an old one.
    """
    own = [
        values
        for (of, gate, shift), values in table.items()
        if of == layer and gate in (0, 2) and not shift
    ]
    return _of(np.stack(own))
