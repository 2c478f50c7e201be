"""From tosses to findings: which edges of a module drop, how often, shared by whom, scaled how."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.evaluation import evaluation_factors
from ablate.auditing.factors import Factors, Place, Read, read
from ablate.auditing.findings import Finding
from ablate.auditing.probes import Array, see
from ablate.auditing.subject import Subject, tosses
from ablate.auditing.windows import Watched, watch
from ablate.drops import ALL, Extent, Fill
from ablate.edges import Edge

BATCH = 8
FEW, MANY = 24, 96  # tosses of one step: first, and where that was not enough
SHORT, LONG = 2, (12, 8)  # steps of the longer windows; two lengths tell all bursts up to 11 apart
UNITS = 64  # as many units of a wide module are looked at

_AXES = ("update", "batch", "gate", "unit")
_OTHER = {
    Edge.CELL: Edge.CARRY,
    Edge.CARRY: Edge.CELL,
    Edge.HIDDEN: Edge.RECURRENT,
    Edge.RECURRENT: Edge.HIDDEN,
}


def measure(subject: Subject) -> tuple[Finding, ...]:
    """Every mask that acts in the module, edge by edge, layer by layer."""
    calls = tosses(subject, time=1, batch=BATCH)
    seen = [see(subject, toss) for toss in itertools.islice(calls, FEW)]
    found = read(seen)
    drafts = list(_drafts(found))
    if any(_poor(draft) for draft in drafts):
        seen += [see(subject, toss) for toss in itertools.islice(calls, MANY - FEW)]
        found = read(seen)
        drafts = list(_drafts(found))
    if not drafts:
        return ()
    timed = _over_time(subject, {draft.place: draft for draft in drafts}, found)
    still = see(subject, next(tosses(subject, time=1, batch=BATCH)), training=False)
    means = evaluation_factors(still, [draft.finding(timed) for draft in drafts])
    return tuple(
        replace(draft.finding(timed), evaluation=means.get(draft.place)) for draft in drafts
    )


@dataclass(frozen=True, slots=True)
class _Draft:
    """What one-step windows tell of an edge: rate, kept value, sharing but for time."""

    place: Place
    rate: float
    error: float
    kept: float | None
    shared: Mapping[str, Extent]
    seen: int
    written: bool = False

    def finding(self, timed: Mapping[Place, Extent]) -> Finding:
        over = dict(self.shared)
        # WEIGHT has no axis of time: that it is one mask a window is what it should be.
        steady = self.place.edge is Edge.WEIGHT and timed.get(self.place) is ALL
        if not self.written and not steady:
            over = {"time": timed.get(self.place)} | over
        return Finding(
            edge=self.place.edge,
            layer=self.place.layer,
            fill=Fill.HOLD if self.place.hold else Fill.ZERO,
            rate=self.rate,
            error=self.error,
            kept=self.kept,
            evaluation=None,
            sharing=over,
            seen=self.seen,
            written=self.written,
        )


def _poor(draft: _Draft) -> bool:
    """Whether more tosses would tell more."""
    unknown = any(value is None for axis, value in draft.shared.items())
    return unknown or draft.rate * draft.seen < sharing.SURE


def _drafts(found: Read) -> Iterator[_Draft]:
    for place, values in found.factors.items():
        missed = found.missed.get(place.layer, 0.0) if _is_cell(place) else 0.0
        if sharing.activity(values) or missed:
            draft = _draft(place, values, missed)
            # A ratio of paths that other masks all but close may stray in its last few values.
            if draft.rate or draft.seen >= FEW:
                yield draft
    for layer, values in found.state.items():
        draft = _draft(Place(Edge.RECURRENT, layer), values, 0.0)
        yield replace(draft, written=True, place=Place(Edge.HIDDEN, layer))


def _is_cell(place: Place) -> bool:
    return place.edge is Edge.CELL and not place.hold


def _draft(place: Place, values: Array, missed: float) -> _Draft:
    if place.edge is Edge.WEIGHT:
        values, axes = _by_source(values), ("update", "gate", "unit", "source")
    else:
        values, axes = values[..., :UNITS], _AXES
    pairs = int((~np.isnan(values)).sum())
    order = [axis for axis in ("gate", "batch", "unit", "source", "update") if axis in axes]
    shared: dict[str, Extent] = {}
    for axis in order:
        number = axes.index(axis)
        if values.shape[number] == 1 and axis == "gate":
            continue
        shared[axis] = sharing.extent(values, number)
        # Where too little was seen to tell, count as few decisions as there may be.
        values = sharing.first_of(values, number, shared[axis] or ALL)
    known = values[~np.isnan(values)]
    alive = known[known != 0.0]
    # What both readers miss is counted over all pairs of them: whose decision it was is not seen.
    count = pairs if missed else max(1, known.size)
    if sharing.continuous(values):
        spread = float(known.var())
        rate = spread / (1.0 + spread)
        return _Draft(place, rate, rate * (3.0 / count) ** 0.5, None, shared, known.size)
    rate = missed or float((known == 0.0).mean() if known.size else 0.0)
    error = (max(rate * (1.0 - rate), 1.0 / count) / count) ** 0.5
    # A rate that is inferred from how often two others coincide is known half as well.
    error *= 2.0 if missed else 1.0
    kept = float(np.median(alive)) if alive.size else 0.0
    return _Draft(place, rate, error, kept, shared, count)


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


def _over_time(
    subject: Subject, drafts: Mapping[Place, _Draft], found: Read
) -> dict[Place, Extent]:
    """How many steps share a decision, for each edge that acts."""
    scale = _kept_scale(subject, found.factors)
    held_c = any(place.hold and place.edge in Edge.CELL | Edge.CARRY for place in drafts)
    held_h = any(place.hold and place.edge in Edge.RECURRENT | Edge.HIDDEN for place in drafts)

    def windows(steps: int, count: int) -> list[Watched]:
        found = tosses(subject, time=steps, batch=BATCH)
        made = (watch(subject, toss, kept_scale=scale) for toss in itertools.islice(found, count))
        return [_unheld(one, steps, held_c=held_c, held_h=held_h) for one in made]

    short = windows(SHORT, FEW)
    over: dict[Place, Extent] = {}
    again: dict[Place, bool | None] = {}
    for place, draft in drafts.items():
        if draft.written:
            continue
        if place.hold:
            if Place(_OTHER[place.edge], place.layer, hold=True) in drafts:
                # Two that hold the same value: only the two together can be timed.
                continue
            over[place] = _held({SHORT: short}, place)
            if over[place] is ALL:
                again[place] = False
        else:
            again[place] = _changed(short, drafts, place)
            over[place] = 1 if again[place] else None
    alike = {
        place: drafts[place].kept is None for place, changed in again.items() if changed is False
    }
    if alike:
        over |= _longer(alike, windows)
    return over


def _longer(
    places: Mapping[Place, bool], windows: Callable[[int, int], list[Watched]]
) -> dict[Place, Extent]:
    """How far sharing reaches for places whose first two steps share; the value says: a noise."""
    over: dict[Place, Extent] = {}
    first = windows(LONG[0], FEW // 2)
    if any(_begin(first, place, noise) is None for place, noise in places.items()):
        first = windows(LONG[0], FEW)
    second: list[Watched] | None = None
    for place, noise in places.items():
        if place.hold:
            second = windows(LONG[1], FEW) if second is None else second
            over[place] = _held({LONG[0]: first, LONG[1]: second}, place)
            continue
        if place.edge is Edge.CARRY:
            over[place] = _step_by_step(place, windows)
            continue
        begin = _begin(first, place, noise)
        if not begin:
            over[place] = ALL if begin == 0 else None
            continue
        second = windows(LONG[1], FEW) if second is None else second
        begins = [(begin, LONG[0] - 1), (_begin(second, place, noise) or 0, LONG[1] - 1)]
        over[place] = sharing.burst(begins)
    return over


def _begin(watched: list[Watched], place: Place, noise: bool) -> int | None:
    """The first step that shares the last step's decision; None where too little was seen."""
    if place.hold or place.edge is Edge.CARRY:
        return 0
    return sharing.begin([one.tracks[place] for one in watched], noise=noise)


def _step_by_step(place: Place, windows: Callable[[int, int], list[Watched]]) -> Extent:
    """CARRY is seen in the last two steps of a window alone, so that each length tells one more."""
    for steps in range(SHORT + 1, LONG[0] + 1):
        tracks = [one.tracks[place] for one in windows(steps, FEW // 2)]
        differs = sharing.changed(tracks, steps - 2, noise=False)
        if differs is None:
            return None
        if differs:
            return steps - 1
    return ALL


def _changed(watched: list[Watched], drafts: Mapping[Place, _Draft], place: Place) -> bool | None:
    tracks = [one.tracks[place] for one in watched]
    if not _is_cell(place):
        return sharing.changed(tracks, SHORT - 2, noise=drafts[place].kept is None)

    def rate(edge: Edge) -> float:
        other = drafts.get(Place(edge, place.layer))
        return other.rate if other else 0.0

    if not rate(Edge.UPDATE) and not (rate(Edge.CARRY) and rate(Edge.HIDDEN)):
        return sharing.changed(tracks, SHORT - 2, noise=False)
    update = rate(Edge.UPDATE)
    if update:
        other = Place(Edge.UPDATE, place.layer)
        # What UPDATE shares with the step before cannot have dropped what came through there.
        seen = [one.tracks[other] for one in watched]
        update *= bool(sharing.changed(seen, SHORT - 2, noise=drafts[other].kept is None))
    others = 1.0 - (1.0 - update) * (1.0 - rate(Edge.CARRY) * rate(Edge.HIDDEN))
    return sharing.cell_changed(tracks, rate=drafts[place].rate, others=others)


def _held(watched: Mapping[int, list[Watched]], place: Place) -> Extent:
    """How many steps share a held value, from windows by length."""
    cell = place.edge in Edge.CELL | Edge.CARRY
    return sharing.over_time_held(
        [
            ([(one.taken_c if cell else one.taken_h)[place.layer] for one in seen], steps)
            for steps, seen in watched.items()
        ]
    )


def _unheld(watched: Watched, steps: int, *, held_c: bool, held_h: bool) -> Watched:
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


def _kept_scale(subject: Subject, factors: Factors) -> Array:
    """By how much a layer's other masks scale what it takes of its own old state."""
    scale = np.ones(subject.layers)
    for layer in range(subject.layers):
        for edge in Edge.RECURRENT | Edge.WEIGHT | Edge.UPDATE | Edge.CELL | Edge.HIDDEN:
            values = factors[Place(edge, layer)]
            alive = values[np.nan_to_num(values) != 0.0]
            if alive.size:
                scale[layer] *= float(np.median(alive))
    return scale
