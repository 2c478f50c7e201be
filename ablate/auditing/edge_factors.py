"""From what the draws show to the factor at each edge: number where it is seen, NaN where not.

A mask behind which everything is dropped cannot be seen, so each edge's factor is a ratio of two
paths that differ by that edge alone, taken where the lower path is alive. What is dropped elsewhere
is independent of it, so the rate among what is seen is the rate.

Shapes: N draws, B batch, H hidden, G gates, X units of the layer's input.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import CLOSE, FAINT, Array, StepReadings, ratio
from ablate.edges import Edge

FactorTable = Mapping[LayerEdge, Array]


@dataclass(frozen=True, slots=True)
class Factors:
    """Factors by place, and by layer whether the state is masked when it is written.

    missed: by layer at which CARRY and HIDDEN both drop, the rate at which CELL must drop too;
    whose a decision was cannot be seen there, since both readers miss the cell either way.
    """

    by_edge: FactorTable
    state: Mapping[int, Array]
    missed: Mapping[int, float]


def edge_factors(seen: Sequence[StepReadings]) -> Factors:
    """The factors that the draws show, [N, B, G, X] (WEIGHT: [N, G, shift, H])."""
    layers = seen[0].carried_c.shape[0]
    factors: dict[LayerEdge, Array] = {}
    state: dict[int, Array] = {}
    missed: dict[int, float] = {}
    for layer in range(layers):
        paths = _Paths.of(seen, layer, top=layer == layers - 1)
        factors |= _holds(paths, layer)
        cell, written, gone = _cell(paths, layer)
        factors |= cell
        if written is not None:
            state[layer] = written
        if gone is not None:
            missed[layer] = gone
        if paths.y is not None:
            factors[LayerEdge(Edge.OUTPUT, layer)] = _flat(ratio(paths.y, paths.written_s))
        vertical = Edge.INTERLAYER if layer else Edge.INPUT
        factors[LayerEdge(vertical, layer)] = _by_unit(seen, layer)
        factors |= _recurrent(seen, layer)
    return Factors(factors, state, missed)


def _flat(values: Array) -> Array:
    """[N, B, H] as [N, B, 1, H]."""
    return values[:, :, None]


@dataclass(frozen=True, slots=True)
class _Paths:
    """One layer's paths over all draws, [N, B, H]; `y` for the top layer alone.

    `a` is CELL CARRY and `b` CELL HIDDEN, NaN where an old value was held. `shown`: the state shows
    the old cell, whole or by half; `through`: what lies above lets it pass; `unsent`: it went up
    and was not handed on.
    """

    a: Array
    b: Array
    written_c: Array
    written_s: Array
    kept_c: Array
    kept_s: Array
    kept_h: Array
    shown: Array
    kept_up: Array
    through: Array
    unsent: Array
    y: Array | None

    @classmethod
    def of(cls, seen: Sequence[StepReadings], layer: int, *, top: bool) -> "_Paths":
        def stacked(name: str) -> Array:
            return np.stack([getattr(one, name)[layer] for one in seen])

        kept_c, kept_s, kept_h = stacked("kept_c"), stacked("kept_s"), stacked("kept_h")
        written_s = stacked("written_s")
        held_h = kept_h != 0.0
        if top:
            y = np.stack([one.written_y for one in seen])
            kept_up = np.stack([one.kept_y for one in seen])
            through = ratio(y, written_s)
            unsent = (written_s == 0.0) & (np.nan_to_num(y) != 0.0) & ~held_h
        else:
            y = None
            kept_up = np.stack([one.kept_up[layer + 1] for one in seen])
            through = np.stack([one.input[layer + 1, 0, 0] for one in seen])
            unsent = np.stack([one.unsent[layer] for one in seen]) & ~held_h
        return cls(
            a=np.where(kept_c != 0.0, np.nan, 2.0 * stacked("carried_c")),
            b=np.where((kept_s != 0.0) | held_h, np.nan, 2.0 * stacked("carried_s")),
            written_c=stacked("written_c"),
            written_s=written_s,
            kept_c=kept_c,
            kept_s=kept_s,
            kept_h=kept_h,
            shown=(stacked("carried_s") != 0.0) & ~held_h,
            kept_up=kept_up,
            through=through,
            unsent=unsent,
            y=y,
        )


def _holds(paths: _Paths, layer: int) -> dict[LayerEdge, Array]:
    """1 where the new value was taken, 0 where the old one was held."""
    held_cell, held_any = paths.kept_s != 0.0, paths.kept_c != 0.0
    if held_cell.any():
        # Which of the two held it shows in the state alone, so both outcomes count only there.
        cell = np.where(paths.shown, np.where(held_cell, 0.0, 1.0), np.nan)
        carry = np.where(cell == 1.0, np.where(held_any, 0.0, 1.0), np.nan)
    else:
        cell, carry = np.ones_like(paths.a), np.where(held_any, 0.0, 1.0)
    held, seen = paths.kept_h != 0.0, ~np.isnan(paths.kept_up)
    up = np.nan_to_num(paths.kept_up) != 0.0
    if not up.any():
        hidden, recurrent = np.ones_like(cell), np.where(held, 0.0, 1.0)
    elif not (paths.through == 0.0).any():
        hidden = np.where(seen, np.where(up, 0.0, 1.0), np.nan)
        recurrent = np.where(hidden == 1.0, np.where(held, 0.0, 1.0), np.nan)
    else:
        # What goes up may be dropped above: both outcomes count only where something would show.
        open_above = ~held & seen & (np.nan_to_num(paths.through) != 0.0)
        hidden = np.where(up, 0.0, np.where(open_above, 1.0, np.nan))
        recurrent = np.where(held, np.nan, 1.0)
    return {
        LayerEdge(Edge.CELL, layer, hold=True): _flat(cell),
        LayerEdge(Edge.CARRY, layer, hold=True): _flat(carry),
        LayerEdge(Edge.HIDDEN, layer, hold=True): _flat(hidden),
        LayerEdge(Edge.RECURRENT, layer, hold=True): _flat(recurrent),
    }


def _cell(paths: _Paths, layer: int) -> tuple[dict[LayerEdge, Array], Array | None, float | None]:
    """CELL, CARRY, HIDDEN and UPDATE; a mask on the state alone; what CELL must explain."""
    a, b = paths.a, paths.b
    state = None
    if paths.unsent.any():
        # What went up was not what was handed on: the state was masked when it was written.
        state = _flat(np.where(paths.unsent, 0.0, np.where(paths.written_s == 0.0, np.nan, 1.0)))
        b = np.where(b == 0.0, np.nan, b)
    carry_alone = bool(((a == 0.0) & (np.nan_to_num(b) != 0.0)).any())
    hidden_alone = bool(((b == 0.0) & (np.nan_to_num(a) != 0.0)).any()) or _varies(ratio(b, a))
    missed = None
    if not carry_alone:
        cell, carry, hidden = a, np.where(np.isnan(a), np.nan, 1.0), ratio(b, a)
        # Where CARRY held its old value only the state tells of the new one, of one mask at a time.
        cell_acts = bool((a == 0.0).any() or (paths.kept_s != 0.0).any())
        if not hidden_alone:
            cell = np.where(np.isnan(a), b, cell)
        elif not cell_acts:
            hidden = np.where(np.isnan(a), b, hidden)
    elif not hidden_alone:
        cell, carry, hidden = b, ratio(a, b), np.where(np.isnan(b), np.nan, 1.0)
    else:
        either = ~np.isnan(a) & ~np.isnan(b)
        cell = np.where((np.nan_to_num(a) != 0.0) | (np.nan_to_num(b) != 0.0), 1.0, np.nan)
        carry, hidden = ratio(a, cell * (b != 0.0)), ratio(b, cell * (a != 0.0))
        missed = _missed((a != 0.0)[either], (b != 0.0)[either])
    update = ratio(paths.written_c, a)
    update = np.where(np.isnan(update), ratio(paths.written_s, b), update)
    places = {Edge.CELL: cell, Edge.CARRY: carry, Edge.HIDDEN: hidden, Edge.UPDATE: update}
    return {LayerEdge(edge, layer): _flat(values) for edge, values in places.items()}, state, missed


def _missed(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """How often something drops for both readers at once, 0 where chance explains it.

    Three independent drops: P(both) = P(one) P(other) / (1 - the common rate).
    """
    both = float((one & other).mean()) if one.size else 0.0
    first, second = (float(reader.mean()) if one.size else 0.0 for reader in (one, other))
    spread = (first * (1.0 - first) * second * (1.0 - second)) ** 0.5
    if not both or not spread:
        return 0.0
    # The correlation of two independent readers is within five standard errors of 0.
    correlation = (both - first * second) / spread
    return 1.0 - first * second / both if correlation > 5.0 / one.size**0.5 else 0.0


def _varies(values: Array) -> bool:
    alive = values[np.nan_to_num(values) != 0.0]
    return bool(alive.size) and float(np.ptp(alive)) > CLOSE * float(abs(alive).max())


def _by_unit(seen: Sequence[StepReadings], layer: int) -> Array:
    """INPUT or INTERLAYER, [N, B, G, X]: what any row saw of each unit."""
    found = None
    for (of, gate, shift), first in seen[0].input.items():
        if of != layer:
            continue
        values = np.stack([one.input[layer, gate, shift] for one in seen])
        rows = values.shape[-1]
        if found is None:
            columns = rows if layer else seen[0].width
            found = np.full((len(seen), first.shape[0], 4, columns), np.nan)
        for row in range(rows):
            unit = (row + shift) % found.shape[-1]
            known = found[:, :, gate, unit]
            found[:, :, gate, unit] = np.where(np.isnan(known), values[..., row], known)
    assert found is not None
    return found


def _recurrent(seen: Sequence[StepReadings], layer: int) -> dict[LayerEdge, Array]:
    """RECURRENT [N, B, G, H] and WEIGHT [N, G, shift, H]: a mask of weights differs by reader."""
    pairs = [(gate, shift) for of, gate, shift in seen[0].recurrent if of == layer]
    shifts = sorted({shift for _, shift in pairs})
    table = np.stack(
        [
            [np.stack([one.recurrent[layer, gate, shift] for one in seen]) for shift in shifts]
            for gate in range(4)
        ]
    )
    table = np.moveaxis(table, (0, 1), (2, 3))  # [N, B, G, shift, row]
    by_unit = np.stack(
        [np.roll(table[..., n, :], shift, axis=-1) for n, shift in enumerate(shifts)], axis=3
    )  # the same, but the last axis is the unit that is read
    weight_acts = len(shifts) > 1 and _differs(by_unit, axis=3)
    state_acts = _differs(table, axis=1) or not weight_acts
    if weight_acts and state_acts:
        weight = _alive(table, axis=1)
        faint = abs(np.nan_to_num(weight)) < FAINT
        reached = np.where(faint[:, None], np.nan, table / np.where(faint, 1.0, weight)[:, None])
        reached = np.stack(
            [np.roll(reached[..., n, :], shift, axis=-1) for n, shift in enumerate(shifts)], axis=3
        )
        recurrent = _first(reached, axis=3)
    elif weight_acts:
        weight, recurrent = _first(table, axis=1), np.ones_like(table[..., 0, :])
    else:
        weight = np.where(np.isnan(table).all(axis=1), np.nan, 1.0)
        recurrent = _first(by_unit, axis=3)
    return {LayerEdge(Edge.WEIGHT, layer): weight, LayerEdge(Edge.RECURRENT, layer): recurrent}


def _differs(values: Array, *, axis: int) -> bool:
    """Whether two values that are seen differ along `axis`."""
    most, least = np.fmax.reduce(values, axis=axis), np.fmin.reduce(values, axis=axis)
    allowed = CLOSE * np.fmax(1.0, np.fmax(abs(most), abs(least)))
    return bool((np.nan_to_num(most - least) > np.nan_to_num(allowed, nan=1.0)).any())


def first_seen(values: Array, axis: int) -> Array:
    """The first value along `axis` that is seen, the axis kept."""
    where = np.expand_dims((~np.isnan(values)).argmax(axis=axis), axis)
    return np.take_along_axis(values, where, axis=axis)


def _first(values: Array, *, axis: int) -> Array:
    return first_seen(values, axis).squeeze(axis)


def _alive(values: Array, *, axis: int) -> Array:
    """Along `axis` a value that is not zero, where there is one."""
    living = _first(np.where(values == 0.0, np.nan, values), axis=axis)
    return np.where(np.isnan(living), _first(values, axis=axis), living)
