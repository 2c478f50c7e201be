"""From draws to findings: which edges of a module drop, how often, shared by whom, scaled how."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ablate.auditing import sharing
from ablate.auditing.drafts import Draft, by_axes, drafts_of, poor
from ablate.auditing.edge_factors import Factors, edge_factors
from ablate.auditing.evaluation_factors import EvaluationFactor, evaluation_factors
from ablate.auditing.findings import EXACT, Finding, Silent, Unmeasured
from ablate.auditing.joint_scales import divided
from ablate.auditing.later_steps import unsteady
from ablate.auditing.layer_edges import Expected, LayerEdge
from ablate.auditing.probes import Array, StepReadings, read_step
from ablate.auditing.subject import Subject, mask_draws
from ablate.auditing.tails import ERRORS, unseen
from ablate.auditing.time_sharing import BATCH, FEW, LONG, Windows, over_time, wide
from ablate.drops import ALL, Extent, Fill
from ablate.edges import Edge

MANY = 96  # draws of one step where a few were not enough


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a measurement comes to: masks, edges of which nothing can be told, and for each edge at
    which a placement drops and none was seen how many decisions that was.

    sizes: the length of an axis, beyond which sharing cannot be told from ALL. unsteady: a sentence
    for each edge whose later steps are not as the first.
    """

    found: tuple[Finding, ...]
    unmeasured: tuple[Unmeasured, ...]
    silent: Mapping[LayerEdge, Silent]
    sizes: Mapping[str, int]
    unsteady: tuple[str, ...] = ()


def measure_layers(subject: Subject, wanted: Sequence[Expected] | None = None) -> Measurement:
    """Every mask that acts in the module, edge by edge, layer by layer.

    More draws are taken where they tell more, with a wider batch where even those are too few: for
    small rates, and for what a placement means and was not seen.
    """
    stated = {want.at: want for want in wanted or ()}
    look = _Sample.after(subject, (), FEW, BATCH, stated)
    if look.poor and look.rows_help:
        for count in (FEW // 3, FEW, MANY // 2):
            seen = look.seen if look.batch > BATCH else ()
            look = _Sample.after(subject, seen, count, wide(subject), stated)
            if not look.open:
                break
    elif look.poor:
        look = _Sample.after(subject, look.seen, MANY, BATCH, stated)
    return look.measured(subject)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What some draws of one step tell.

    gains: where training and evaluation multiply by one number and nothing drops. presumed: the
    relative error of a multiplier that was divided from another.
    """

    seen: Sequence[StepReadings]
    batch: int
    factors: Factors
    drafts: tuple[Draft, ...]
    still: Mapping[LayerEdge, EvaluationFactor | None]
    stated: Mapping[LayerEdge, Expected]
    gains: Mapping[LayerEdge, float]
    presumed: Mapping[LayerEdge, float]

    @classmethod
    def after(
        cls,
        subject: Subject,
        seen: Sequence[StepReadings],
        count: int,
        batch: int,
        stated: Mapping[LayerEdge, Expected],
    ) -> "_Sample":
        """Look at the first `count` draws of a batch; `seen` are those that were looked at."""
        calls = itertools.islice(mask_draws(subject, time=1, batch=batch), len(seen), count)
        seen = [*seen, *(read_step(subject, draw) for draw in calls)]
        found = edge_factors(seen)
        drafts, presumed = divided(tuple(drafts_of(found)), stated)
        still: dict[LayerEdge, EvaluationFactor | None] = {}
        if drafts:
            # How CARRY stands in evaluation hangs on CELL's sharing over time, which comes later.
            one = read_step(subject, next(mask_draws(subject, time=1, batch=BATCH)), training=False)
            still = evaluation_factors(one, [draft.finding({}) for draft in drafts])
        gains = {
            draft.place: at.value
            for draft in drafts
            if (at := still.get(draft.place)) is not None and _is_gain(draft, at)
        }
        drafts = tuple(draft for draft in drafts if draft.written or draft.place not in gains)
        return cls(seen, batch, found, drafts, still, stated, gains, presumed)

    @property
    def poor(self) -> bool:
        """Whether more draws would tell more."""
        return any(poor(draft) for draft in self.drafts) or self.open

    @property
    def open(self) -> bool:
        """Whether a drop is too seldom to be told from none, or its scale from another."""
        silent = self.silent()
        return any(_unheard(want, silent.get(place)) for place, want in self.stated.items()) or any(
            self._undecided(draft) for draft in self.drafts
        )

    @property
    def rows_help(self) -> bool:
        """Whether more rows show more decisions of something of which too few were seen."""
        if self.batch > BATCH:
            return False
        silent = self.silent()
        return any(
            _unheard(want, silent.get(place)) and _by_row(place.edge, want.drop.shared.batch)
            for place, want in self.stated.items()
        ) or any(
            (poor(draft) or self._undecided(draft))
            and _by_row(draft.place.edge, draft.shared.get("batch"))
            for draft in self.drafts
        )

    def _undecided(self, draft: Draft) -> bool:
        if draft.written or draft.dropped is None:
            return False
        finding = self._finding(draft, {}, self.still)
        return (draft.rarer < sharing.SURE and finding.kept != 0.0) or (
            finding.evaluation is not None and finding.kept != 0.0 and finding.scaled is None
        )

    def _finding(
        self,
        draft: Draft,
        timed: Mapping[LayerEdge, Extent],
        still: Mapping[LayerEdge, EvaluationFactor | None],
    ) -> Finding:
        at, want = still.get(draft.place), self.stated.get(draft.place)
        presumed = self.presumed.get(draft.place, 0.0)
        return replace(
            draft.finding(timed),
            evaluation=None if at is None or draft.written else at.value,
            evaluation_error=0.0 if at is None else at.error + presumed * abs(at.value),
            stated=want.rate if want is not None else None,
        )

    def silent(self) -> dict[LayerEdge, Silent]:
        """Where the placement drops and nothing was seen to, and in how many decisions."""
        there = {d.place for d in self.drafts if not d.written and (d.place.hold or d.kept != 0.0)}
        found = {}
        for place, want in self.stated.items():
            if place not in there:
                values = _decisions(place, self.factors.by_edge[place], want)
                known = values[~np.isnan(values)]
                kept = float(np.median(known)) if known.size else None
                if kept is not None:
                    kept /= self.gains.get(place, 1.0)
                found[place] = Silent(known.size, kept)
        return found

    def measured(self, subject: Subject) -> Measurement:
        """The whole, sharing over time included."""
        drafts = {draft.place: draft for draft in self.drafts}
        windows = Windows(subject, drafts, self.factors.by_edge)
        timed = over_time(windows, drafts) if drafts else {}
        changing = unsteady(subject, self.seen, self.factors.by_edge, drafts, windows)
        still = self.still
        if any(draft.place.edge is Edge.CARRY for draft in self.drafts):
            one = read_step(subject, next(mask_draws(subject, time=1, batch=BATCH)), training=False)
            still = evaluation_factors(one, [draft.finding(timed) for draft in self.drafts])
        every = [self._finding(draft, timed, still) for draft in self.drafts]
        found, unmeasured = apart(every, self.silent(), subject)
        sizes = {
            "time": LONG[0],
            "update": len(self.seen),
            "batch": self.batch,
            "unit": min(subject.hidden, subject.inputs),
            "source": subject.hidden,
        }
        return Measurement(found, unmeasured, self.silent(), sizes, changing)


def _is_gain(draft: Draft, still: EvaluationFactor) -> bool:
    """Whether a factor is one number in training and in evaluation, as of `x * sqrt(d)`."""
    if draft.written or draft.place.hold or draft.dropped != 0 or not draft.kept:
        return False
    return abs(still.value / draft.kept - 1.0) <= EXACT + ERRORS * still.error


def _unheard(want: Expected, silent: Silent | None) -> bool:
    """Whether a drop that is meant was not seen, and need not have been."""
    if silent is None or silent.kept == 0.0 or not silent.decisions:
        return False
    return unseen(want.rate, silent.decisions)


def _by_row(edge: Edge, batch: Extent) -> bool:
    """Whether rows of a batch have decisions of their own."""
    return edge is not Edge.WEIGHT and batch is not ALL


def apart(
    every: Sequence[Finding], silent: Mapping[LayerEdge, Silent], subject: Subject
) -> tuple[tuple[Finding, ...], tuple[Unmeasured, ...]]:
    """Findings, and edges of which the same numbers tell nothing."""
    found, unmeasured = [], []
    for one in every:
        hidden = subject.upward_hidden(one.layer)
        if hidden and one.fill is Fill.HOLD and one.edge in _STATES:
            why = f"a state is held with rate {one.rate:.3f}; whether that goes up is not seen: "
            unmeasured += [Unmeasured(edge, one.layer, why + hidden) for edge in _STATES]
        elif one.kept == 0.0 and one.fill is Fill.ZERO and not one.written:
            unmeasured.append(Unmeasured.dead(one.edge, one.layer, one.evaluation))
        else:
            found.append(one)
    if subject.sequence_hidden:
        unmeasured.append(Unmeasured(Edge.OUTPUT, subject.layers - 1, subject.sequence_hidden))
    unmeasured += [
        Unmeasured(edge, layer, why)
        for (layer, kind), why in subject.unread.items()
        for edge in _read_through(layer, kind)
    ]
    there = {(one.edge, one.layer) for one in (*found, *unmeasured)}
    unmeasured += [
        Unmeasured(place.edge, place.layer, "no value of it was seen")
        for place, one in silent.items()
        if not one.decisions and (place.edge, place.layer) not in there
    ]
    return tuple(found), tuple(unmeasured)


def _read_through(layer: int, kind: str) -> Edge:
    """The edges that show in what a layer's gates read."""
    if kind == "weight_hh":
        return Edge.RECURRENT | Edge.WEIGHT
    return Edge.INTERLAYER if layer else Edge.INPUT


_STATES = Edge.HIDDEN | Edge.RECURRENT


def _decisions(place: LayerEdge, values: Array, want: Expected) -> Array:
    """One value for each decision that a placement means."""
    values, axes = by_axes(place, values)
    numbers = {axis: number for number, axis in enumerate(axes)}
    return sharing.decisions(values, numbers, dict(want.drop.shared.given()))
