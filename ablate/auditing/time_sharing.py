"""Over how many steps each edge that acts shares a decision, from windows of several lengths."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.drafts import UNITS, Draft, is_cell
from ablate.auditing.edge_factors import FactorTable
from ablate.auditing.layer_edges import LayerEdge
from ablate.auditing.probes import Array
from ablate.auditing.subject import MaskDraw, Subject, mask_draws
from ablate.auditing.window_readings import WindowReadings, read_window
from ablate.drops import ALL, Extent
from ablate.edges import Edge

BATCH, WIDE = 8, 1024  # rows of a batch: first, and for what drops seldom
FEW: Final = 24  # draws
SHORT, LONG = 2, (12, 8)  # steps of the longer windows; two lengths tell all bursts up to 11 apart

_LEAST = 3  # windows of a length, to see whether a later step is as the first

Drafts = Mapping[LayerEdge, Draft]

_OTHER = {
    Edge.CELL: Edge.CARRY,
    Edge.CARRY: Edge.CELL,
    Edge.HIDDEN: Edge.RECURRENT,
    Edge.RECURRENT: Edge.HIDDEN,
}


def wide(subject: Subject) -> int:
    """Rows of a batch for small rates: as many as keep a call of a wide module short."""
    return min(WIDE, max(BATCH, 2**16 // max(subject.hidden, subject.inputs)))


class Windows:
    """Windows of several steps of a module, each looked at once."""

    def __init__(self, subject: Subject, drafts: Drafts, factors: FactorTable) -> None:
        self._subject = subject
        self._scale = _kept_scale(subject, factors)
        self._held = tuple(
            any(place.hold and place.edge in edges for place in drafts)
            for edges in (Edge.CELL | Edge.CARRY, Edge.RECURRENT | Edge.HIDDEN)
        )
        # Twice the drops that would be sure, in the rows of a small batch: else in those of a wide.
        seldom = min((min(d.rate, 1.0 - d.rate) for d in drafts.values()), default=1.0)
        sure = FEW * BATCH * min(subject.hidden, UNITS) * seldom >= 2.0 * sharing.SURE
        small = sure or not drafts
        self.batch, self.few = (BATCH, FEW) if small else (wide(subject), FEW // 3)
        self._draws: dict[int, Iterator[MaskDraw]] = {}
        self._made: dict[int, list[WindowReadings]] = {}

    def of(self, steps: int, count: int) -> list[WindowReadings]:
        """The first `count` windows of that many steps."""
        made = self._made.setdefault(steps, [])
        draws = self._draws.setdefault(
            steps, mask_draws(self._subject, time=steps, batch=self.batch)
        )
        held_c, held_h = self._held
        for draw in itertools.islice(draws, max(0, count - len(made))):
            one = read_window(self._subject, draw, kept_scale=self._scale)
            made.append(_unheld(one, steps, held_c=held_c, held_h=held_h))
        return made[:count]

    def every(self, steps: int) -> list[WindowReadings]:
        """All that were looked at, of a length at which a few always are."""
        return self.of(steps, max(_LEAST, len(self._made.get(steps, []))))

    def still(self, steps: int) -> WindowReadings:
        """One in evaluation."""
        draw = next(mask_draws(self._subject, time=steps, batch=BATCH))
        return read_window(self._subject, draw, kept_scale=self._scale, training=False)


def over_time(windows: Windows, drafts: Drafts) -> dict[LayerEdge, Extent]:
    """How many steps share a decision, for each edge that acts."""
    short = windows.of(SHORT, windows.few)
    over: dict[LayerEdge, Extent] = {}
    again: dict[LayerEdge, bool | None] = {}
    for place, draft in drafts.items():
        if draft.written:
            continue
        if place.hold:
            if LayerEdge(_OTHER[place.edge], place.layer, hold=True) in drafts:
                # Two that hold the same value: only the two together can be timed.
                continue
            over[place] = _held({SHORT: short}, place)
            if over[place] is ALL:
                again[place] = False
        else:
            again[place] = _changed(short, drafts, place, SHORT)
            # Of a product that changes, RECURRENT is the factor that can.
            beside = place.edge is Edge.WEIGHT and LayerEdge(Edge.RECURRENT, place.layer) in drafts
            over[place] = 1 if again[place] and not beside else None
    alike = {
        place: drafts[place].kept is None for place, changed in again.items() if changed is False
    }
    if alike:
        over |= _longer(alike, drafts, windows)
    return over


def _longer(
    places: Mapping[LayerEdge, bool], drafts: Drafts, windows: Windows
) -> dict[LayerEdge, Extent]:
    """How far sharing reaches for places whose first two steps share; the value says: a noise."""
    over: dict[LayerEdge, Extent] = {}
    few = windows.few
    first = windows.of(LONG[0], few // 2)
    if any(_begin(first, place, noise) is None for place, noise in places.items()):
        first = windows.of(LONG[0], few)
    second: list[WindowReadings] | None = None
    for place, noise in places.items():
        if place.hold:
            second = windows.of(LONG[1], few) if second is None else second
            over[place] = _held({LONG[0]: first, LONG[1]: second}, place)
            continue
        if place.edge is Edge.CARRY or _covered(drafts, place):
            over[place] = _step_by_step(place, drafts, windows)
            continue
        begin = _begin(first, place, noise)
        if not begin:
            over[place] = ALL if begin == 0 else None
            continue
        second = windows.of(LONG[1], few) if second is None else second
        begins = [(begin, LONG[0] - 1), (_begin(second, place, noise) or 0, LONG[1] - 1)]
        over[place] = sharing.burst(begins)
    return over


def _begin(watched: list[WindowReadings], place: LayerEdge, noise: bool) -> int | None:
    """The first step that shares the last step's decision; None where too little was seen."""
    if place.hold or place.edge is Edge.CARRY:
        return 0
    return sharing.begin([one.tracks[place] for one in watched], noise=noise)


def _step_by_step(place: LayerEdge, drafts: Drafts, windows: Windows) -> Extent:
    """What is seen in the last two steps of a window alone, so that each length tells one more."""
    for steps in range(SHORT + 1, LONG[0] + 1):
        differs = _changed(windows.of(steps, windows.few // 2), drafts, place, steps)
        if differs is None:
            return None
        if differs:
            return steps - 1
    return ALL


def _changed(
    watched: list[WindowReadings], drafts: Drafts, place: LayerEdge, steps: int
) -> bool | None:
    """Whether the mask of the last step of windows of `steps` differs from that before."""
    tracks = [one.tracks[place] for one in watched]
    if not is_cell(place):
        return sharing.changed(tracks, steps - 2, noise=drafts[place].kept is None)

    def rate(edge: Edge) -> float:
        other = drafts.get(LayerEdge(edge, place.layer))
        return other.rate if other else 0.0

    if not _covered(drafts, place):
        return sharing.changed(tracks, steps - 2, noise=False)
    update = rate(Edge.UPDATE)
    if update:
        other = LayerEdge(Edge.UPDATE, place.layer)
        # What UPDATE shares with the step before cannot have dropped what came through there.
        seen = [one.tracks[other] for one in watched]
        update *= bool(sharing.changed(seen, steps - 2, noise=drafts[other].kept is None))
    others = 1.0 - (1.0 - update) * (1.0 - rate(Edge.CARRY) * rate(Edge.HIDDEN))
    return sharing.cell_changed(tracks, rate=drafts[place].rate, others=others)


def _covered(drafts: Drafts, place: LayerEdge) -> bool:
    """Whether other masks drop what CELL lets through, so that it is seen in two steps alone."""
    beside = {at.edge for at in drafts if at.layer == place.layer and not at.hold}
    return is_cell(place) and (Edge.UPDATE in beside or {Edge.CARRY, Edge.HIDDEN} <= beside)


def _held(watched: Mapping[int, list[WindowReadings]], place: LayerEdge) -> Extent:
    """How many steps share a held value, from windows by length."""
    cell = place.edge in Edge.CELL | Edge.CARRY
    return sharing.over_time_held(
        [
            ([(one.taken_c if cell else one.taken_h)[place.layer] for one in seen], steps)
            for steps, seen in watched.items()
        ]
    )


def _unheld(watched: WindowReadings, steps: int, *, held_c: bool, held_h: bool) -> WindowReadings:
    """The same without the units that held an old value, which show a step long past."""
    tracks = {}
    for place, track in watched.tracks.items():
        hide = np.zeros_like(track.last, dtype=bool)
        if held_c:
            hide |= watched.taken_c[place.layer] != steps
        if held_h:
            hide |= watched.taken_h[place.layer] != steps
        tracks[place] = replace(track, last=np.where(hide, np.nan, track.last))
    return replace(watched, tracks=tracks)


def _kept_scale(subject: Subject, factors: FactorTable) -> Array:
    """By how much a layer's other masks scale what it takes of its own old state."""
    scale = np.ones(subject.layers)
    for layer in range(subject.layers):
        for edge in Edge.RECURRENT | Edge.WEIGHT | Edge.UPDATE | Edge.CELL | Edge.HIDDEN:
            values = factors[LayerEdge(edge, layer)]
            alive = values[np.nan_to_num(values) != 0.0]
            if alive.size:
                scale[layer] *= float(np.median(alive))
    return scale
