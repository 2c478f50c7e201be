"""Whether every step of a window drops as the first one does.

Rates and scales are read in windows of one step. What a longer window shows of its last step alone
must have the same law: nothing comes through as often, and what is kept has the same multiplier.

Shapes: N draws, B batch, H hidden; U units of a path.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.drafts import FEW_VALUES, Draft
from ablate.auditing.edge_factors import FactorTable, edge_factors
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import SIGNAL, Array, StepReadings, ratio, read_step
from ablate.auditing.subject import Subject, mask_draws
from ablate.auditing.tails import unlike
from ablate.auditing.time_sharing import BATCH, LONG, SHORT, Windows
from ablate.auditing.window_readings import WindowReadings
from ablate.drops import ALL, Extent
from ablate.edges import Edge

_ALIKE = 1e-4  # multipliers that differ by a smaller part are one
_AXES = {"update": 0, "batch": 1, "unit": 2}

_CELL = (Edge.UPDATE, Edge.CELL, Edge.CARRY)
_STATE = (Edge.UPDATE, Edge.CELL, Edge.HIDDEN)

_STATES = (Edge.HIDDEN, Edge.RECURRENT)

Drafts = Mapping[LayerEdge, Draft]


@dataclass(frozen=True, slots=True)
class _Law:
    """How often a step drops, and what it multiplies a kept value by (None: by many numbers).

    held: whether it holds and does not drop.
    """

    rate: float
    kept: float | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """What one step alone shows, [N, B, U] by the edges whose masks it shows."""

    by_edges: Mapping[tuple[Edge, ...], Array]

    @classmethod
    def first(cls, seen: Sequence[StepReadings], factors: FactorTable, layer: int) -> "_Step":
        """That of windows of one step."""
        top = layer == len(seen[0].carried_c) - 1
        c, s = (np.stack([getattr(w, n)[layer] for w in seen]) for n in ("written_c", "written_s"))
        y = np.stack([one.written_y for one in seen]) if top else np.full_like(s, np.nan)
        read, recalled = (
            factors[LayerEdge(edge, layer)][:, :, 0] for edge in (_vertical(layer), Edge.RECURRENT)
        )
        return cls._of(layer, c, s, y, read, recalled)

    @classmethod
    def last(cls, watched: Sequence[WindowReadings], layer: int, handed_on: float) -> "_Step":
        """That of the last steps of longer ones; `handed_on` is the state as a step writes it."""
        top = layer == len(watched[0].written_c) - 1
        c, s, read, recalled = (
            np.stack([getattr(one, name)[layer] for one in watched])
            for name in ("written_c", "written_s", "read", "recalled")
        )
        y = np.stack([one.written_y for one in watched]) if top else np.full_like(s, np.nan)
        return cls._of(layer, c, s, y, read, recalled / handed_on)

    @classmethod
    def _of(cls, layer: int, c: Array, s: Array, y: Array, read: Array, recalled: Array) -> "_Step":
        return cls(
            {
                (_vertical(layer),): read,
                _CELL: c,
                _STATE: s,
                (Edge.RECURRENT,): recalled,
                (Edge.OUTPUT,): ratio(y, s),
            }
        )


def unsteady(
    subject: Subject,
    seen: Sequence[StepReadings],
    factors: FactorTable,
    drafts: Drafts,
    windows: Windows,
) -> tuple[str, ...]:
    """A sentence for each edge whose later steps are not as the first.

    Of each layer the first look that tells: what differs there bends what others see.
    """
    still = read_step(subject, next(mask_draws(subject, time=1, batch=BATCH)), training=False)
    at_rest = edge_factors([still]).by_edge
    lengths = (SHORT, LONG[0])
    trained = [(steps, windows.every(steps)) for steps in lengths]
    rested = [(steps, [windows.still(steps)]) for steps in lengths]
    found: list[str] = []
    for layer in range(subject.layers):
        first, idle = _Step.first(seen, factors, layer), _Step.first([still], at_rest, layer)
        for step, looks, says in ((first, trained, _in_training), (idle, rested, _in_evaluation)):
            for steps, watched in looks:
                if not any(f"layer {layer}:" in sentence for sentence in found):
                    differ = _differing(step, watched, drafts, layer, steps)
                    found += [says(where, steps, one, other) for where, one, other in differ]
    return tuple(found)


def _differing(
    first: _Step, watched: Sequence[WindowReadings], drafts: Drafts, layer: int, steps: int
) -> Iterator[tuple[str, _Law, _Law]]:
    """Where the last steps of windows have another law than `first`."""
    held = [place.layer for place in drafts if place.hold]
    # What a call returns as its state is then not what a step hands to the next.
    returned = any(draft.written for draft in drafts.values() if draft.place.layer == layer)
    weighed = LayerEdge(Edge.WEIGHT, layer) in drafts
    handed_on = _law(first.by_edges[_STATE]).kept
    last = _Step.last(watched, layer, handed_on or np.nan)

    def differ(edges: tuple[Edge, ...], *, exact: bool = True) -> tuple[_Law, _Law] | None:
        values, later = first.by_edges[edges], last.by_edges[edges]
        later = later[..., : values.shape[-1]]
        values = values[..., : later.shape[-1]]
        return _unlike(values, later, _shared(edges, layer, drafts), exact=exact)

    def told(edges: tuple[Edge, ...], laws: tuple[_Law, _Law]) -> tuple[str, _Law, _Law]:
        acting = [edge for edge in edges if LayerEdge(edge, layer) in drafts]
        names = " or ".join(edge.label for edge in acting or edges)
        return f"{names} at layer {layer}", *laws

    vertical = (_vertical(layer),)
    # What is held shows what was read a step before, when another value was sent, or nothing.
    mistimed = layer in held or layer - 1 in held
    if not mistimed and (laws := differ(vertical)):
        yield told(vertical, laws)
    # Beside what goes up, RECURRENT hands on the state of a step before.
    handed_old = LayerEdge(Edge.RECURRENT, layer, hold=True) in drafts
    if not handed_old and (laws := differ((Edge.OUTPUT,), exact=layer not in held)):
        yield told((Edge.OUTPUT,), laws)
    if layer in held:
        return
    cell, state = differ(_CELL), differ(_STATE)
    if cell and state:
        yield told(_CELL[:2], cell)
    elif cell:
        yield told((Edge.CARRY,), cell)
    elif state:
        yield told((Edge.HIDDEN,), state)
    elif weighed:
        # What is read of the state is read through weights that drop.
        return
    elif laws := differ((Edge.RECURRENT,), exact=False):
        yield told((Edge.RECURRENT,), laws)
    elif holds := [*_held_later(first, watched, drafts, layer, steps)]:
        yield from (told(edges, laws) for edges, laws in holds)
    elif not returned and (laws := differ((Edge.RECURRENT,))):
        yield told((Edge.RECURRENT,), laws)


def _held_later(
    first: _Step, watched: Sequence[WindowReadings], drafts: Drafts, layer: int, steps: int
) -> Iterator[tuple[tuple[Edge, ...], tuple[_Law, _Law]]]:
    """The laws where windows hold what a step alone never did, by edges."""
    if any(drafts[place].kept is None for place in drafts if place.layer == layer):
        # Of a noise some multiples are like halvings.
        return
    for edges, name in (((Edge.CELL, Edge.CARRY), "taken_c"), (_STATES, "taken_h")):
        taken = np.stack([getattr(one, name)[layer] for one in watched])
        whole = np.where(np.isnan(taken), np.nan, np.where(taken < steps, 0.0, 1.0))
        # Many steps hold the more often: of as many decisions a step alone has the fewer.
        none = np.ones_like(first.by_edges[_CELL])[::steps]
        if laws := _unlike(none, whole, None, exact=False):
            yield edges, (_Law(0.0, 1.0, held=True), replace(laws[1], held=True))
            # A cell that is held holds what h is made of.
            return


def _vertical(layer: int) -> Edge:
    return Edge.INTERLAYER if layer else Edge.INPUT


def _shared(edges: tuple[Edge, ...], layer: int, drafts: Drafts) -> dict[str, Extent] | None:
    """Who shares a decision of any of the masks; None where none is known to act."""
    acting = [place for place in (LayerEdge(edge, layer) for edge in edges) if place in drafts]
    if not acting:
        return None
    return {axis: _widest([drafts[at].shared.get(axis) for at in acting]) for axis in _AXES}


def _widest(extents: Sequence[Extent]) -> Extent:
    whole = [extent for extent in extents if isinstance(extent, int)]
    return math.lcm(*whole) if len(whole) == len(extents) else ALL


def _unlike(
    first: Array, later: Array, shared: Mapping[str, Extent] | None, *, exact: bool
) -> tuple[_Law, _Law] | None:
    """The laws of both where they differ surely."""
    if shared is None:
        later_decisions, shared = sharing.apart(later, _AXES)
    else:
        later_decisions = sharing.decisions(later, _AXES, shared)
    one, other = _law(first), _law(later)
    (drops, count), (later_drops, later_count) = (
        _count(sharing.decisions(first, _AXES, shared)),
        _count(later_decisions),
    )
    if one.kept is None or not count or not later_count:
        # A noise has no multiplier, and its mean is the scale's.
        return None
    differ = unlike(drops, count, later_drops, later_count)
    if exact and one.kept and other.kept != 0.0:
        alive = later[np.nan_to_num(later) != 0.0] / one.kept
        allowed = _ALIKE + (SIGNAL * one.kept) ** 2
        differ |= alive.size >= FEW_VALUES and bool((abs(alive - 1.0) > allowed).mean() > 0.1)
    return (one, other) if differ else None


def _law(values: Array) -> _Law:
    known = values[~np.isnan(values)]
    alive = known[known != 0.0]
    kept = float(np.median(alive)) if alive.size else 0.0
    rate = 1.0 - alive.size / known.size if known.size else 0.0
    return _Law(rate, None if sharing.continuous(values) else kept)


def _count(decisions: Array) -> tuple[int, int]:
    known = decisions[~np.isnan(decisions)]
    return int((known == 0.0).sum()), known.size


def _in_training(where: str, steps: int, one: _Law, other: _Law) -> str:
    both = f"the first {_says(one)}, step {steps} {_says(other)}"
    return f"{where}: the steps of a window differ: {both}"


def _in_evaluation(where: str, steps: int, one: _Law, other: _Law) -> str:
    return (
        f"{where}: the steps of a window differ in evaluation: the first multiplies by "
        f"{_by(one)}, step {steps} by {_by(other)}"
    )


def _says(law: _Law) -> str:
    if law.held:
        return f"holds with rate {law.rate:.2f}" if law.rate else "holds nothing"
    if not law.rate:
        return f"drops nothing and multiplies by {_by(law)}"
    return f"drops with rate {law.rate:.2f} and multiplies what is kept by {_by(law)}"


def _by(law: _Law) -> str:
    return "many numbers" if law.kept is None else f"{law.kept:.6g}"
