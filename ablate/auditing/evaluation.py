"""What stands at each edge in evaluation, read off the same paths as in training.

Shapes: as in `probes`; nothing is tossed, so that one call tells all.
"""

from collections.abc import Sequence

import numpy as np

from ablate.auditing.factors import Place
from ablate.auditing.findings import Finding
from ablate.auditing.probes import Array, Seen
from ablate.drops import Fill
from ablate.edges import Edge


def evaluation_factors(seen: Seen, findings: Sequence[Finding]) -> dict[Place, float | None]:
    """The factor of each edge that acts (of a held one: the part of the old value that is kept)."""
    by_place = {_place(finding): finding for finding in findings if not finding.written}
    return {place: _factor(seen, place, by_place) for place in by_place}


def _place(finding: Finding) -> Place:
    return Place(finding.edge, finding.layer, hold=finding.fill is Fill.HOLD)


def _factor(seen: Seen, place: Place, findings: dict[Place, Finding]) -> float | None:
    layer, edge = place.layer, place.edge
    held = _held(seen, layer, top=layer == len(seen.carried_c) - 1)
    if place.hold:
        return held[edge]

    def presumed(other: Edge) -> float:
        """What stands at another edge, if it is as it should be."""
        finding = findings.get(Place(other, layer))
        if finding is None:
            return 1.0
        return 1.0 - finding.rate if finding.kept and abs(finding.kept - 1.0) < 0.01 else 1.0

    new_c = (1.0 - held[Edge.CELL]) * (1.0 - held[Edge.CARRY])
    new_s = (1.0 - held[Edge.CELL]) * (1.0 - held[Edge.HIDDEN]) * (1.0 - held[Edge.RECURRENT])
    carried = 2.0 * _of(seen.carried_c[layer] - seen.kept_c[layer]) / new_c
    shown = 2.0 * _of(seen.carried_s[layer] - seen.kept_s[layer]) / new_s
    if edge is Edge.CELL:
        # Every reader sees it; how far the cell itself is scaled depends on the sharing over time.
        return shown / presumed(Edge.HIDDEN)
    if edge is Edge.HIDDEN:
        return shown / presumed(Edge.CELL)
    if edge is Edge.CARRY:
        cell = findings.get(Place(Edge.CELL, layer))
        if cell is None:
            return carried
        # Fresh at each step CELL scales what is carried too; when that is not seen, nor is this.
        often = cell.sharing.get("time")
        return None if often is None else carried / (presumed(Edge.CELL) if often == 1 else 1.0)
    if edge is Edge.UPDATE:
        return _of(seen.written_c[layer]) / (carried * new_c)
    if edge is Edge.OUTPUT:
        return _of(seen.written_y) / _of(seen.written_s[layer]) * (1.0 - held[Edge.RECURRENT])
    if edge in Edge.VERTICAL:
        below = _held(seen, layer - 1, top=False)[Edge.RECURRENT] if layer else 0.0
        return _read_of(seen.input, layer) * (1.0 - below)
    both = _read_of(seen.recurrent, layer)
    return both / presumed(Edge.WEIGHT if edge is Edge.RECURRENT else Edge.RECURRENT)


def _held(seen: Seen, layer: int, *, top: bool) -> dict[Edge, float]:
    """The part of the old value that is kept, at each edge that can hold."""
    if top:
        through, shown = _of(seen.written_y) / _of(seen.written_s[layer]), _of(seen.kept_y)
    else:
        through, shown = _read_of(seen.input, layer + 1), _of(seen.kept_up[layer + 1])
    state = _of(seen.kept_h[layer])
    # With D what lies above, H and R the parts kept at HIDDEN and RECURRENT:
    # through = D / (1 - R), shown = D H, state = R + (1 - R) H.
    recurrent = state - shown / through if through else 0.0
    hidden = (state - recurrent) / (1.0 - recurrent)
    cell = _of(seen.kept_s[layer]) / (1.0 - state)
    return {
        Edge.CELL: cell,
        Edge.CARRY: (_of(seen.kept_c[layer]) - cell) / (1.0 - cell),
        Edge.HIDDEN: hidden,
        Edge.RECURRENT: recurrent,
    }


def _of(values: Array) -> float:
    return float(np.nanmedian(values))


def _read_of(table: dict[tuple[int, int, int], Array], layer: int) -> float:
    """What the layer's gates i and g read, each unit through its own row.

    The other two are read off a value of which a part may be an old one.
    """
    own = [
        values
        for (of, gate, shift), values in table.items()
        if of == layer and gate in (0, 2) and not shift
    ]
    return _of(np.stack(own))
