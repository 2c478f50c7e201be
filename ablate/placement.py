"""A placement: an immutable table `Edge -> Drop` under a schedule, comparable and printable."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from ablate.cells import LSTM, Cell
from ablate.drops import Drop
from ablate.edges import Edge, layers_of
from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.rules import complete
from ablate.schedules import CONSTANT, Schedule, factor_at, parse_schedule

_EXAMPLE: Final = "{Edge.RECURRENT: Drop(0.3)}"

_SILENT: Final = "none"

_PART: Final = re.compile(r"(?P<edge>\w+)\((?P<drop>[^()]*)\)")


class Placement(Mapping[Edge, Drop]):
    """Where, how often and how dropout acts.

    A union of edges as key gives each of them the same drop. Defaults are filled in and silent
    drops vanish, so that equal placements are equal values with one canonical `text`. `schedule`
    says how the rates change while a trial is trained; `Placement(other, CURRICULUM)` has another
    placement's drops and this schedule.
    Raises AblateError for a combination that does not exist.
    """

    __slots__ = ("_drops", "_schedule")

    def __init__(
        self, drops: Mapping[Edge, Drop] | None = None, schedule: Schedule = CONSTANT
    ) -> None:
        if not isinstance(schedule, Schedule):
            allowed = "a Schedule such as ablate.schedules.CURRICULUM"
            raise WrongValue("a placement's schedule", allowed, schedule)
        table: dict[Edge, Drop] = {}
        for edges, drop in _checked(drops).items():
            for edge in edges:
                _refuse_overlap(table, edge)
                table[edge] = complete(edge, drop)
        live = {edge: drop for edge, drop in table.items() if not drop.silent}
        self._drops = dict(sorted(live.items(), key=lambda item: item[0].number))
        # Nothing at any factor is nothing: the silent placement has one text.
        self._schedule = schedule if live else CONSTANT

    def __getitem__(self, edge: Edge) -> Drop:
        return self._drops[edge]

    def __iter__(self) -> Iterator[Edge]:
        return iter(self._drops)

    def __len__(self) -> int:
        return len(self._drops)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Placement):
            return False
        return self._drops == other._drops and self._schedule == other._schedule

    def __or__(self, other: "Placement") -> "Placement":
        """Join two placements; an edge that both set, or two schedules, are refused."""
        for edge in other:
            _refuse_overlap(self._drops, edge)
        # A silent placement has no rates of its own to keep constant.
        schedules = {part._schedule for part in (self, other) if part} or {CONSTANT}
        if len(schedules) > 1:
            names = " and ".join(part._schedule.name for part in (self, other))
            raise AblateError(
                f"a placement has one schedule, and these two have {names}; give both the same, "
                "such as Placement(a, schedule) | Placement(b, schedule)"
            )
        return Placement({**self._drops, **other._drops}, schedules.pop())

    def __and__(self, edges: Edge) -> "Placement":
        """Only what this placement does at `edges`, one or a union."""
        if not isinstance(edges, Edge):
            return NotImplemented
        return self._only(edges)

    def __sub__(self, edges: Edge) -> "Placement":
        """What this placement does everywhere but at `edges`, one or a union."""
        if not isinstance(edges, Edge):
            return NotImplemented
        return self._only(~edges)

    def _only(self, edges: Edge) -> "Placement":
        left = {edge: drop for edge, drop in self._drops.items() if edge in edges}
        # The same value is the same object: a module asks at every call.
        return self if len(left) == len(self) else Placement(left, self._schedule)

    def __repr__(self) -> str:
        return f"Placement({self.text})"

    @property
    def text(self) -> str:
        """The one canonical text of this placement; `none` when it is silent.

        A schedule other than CONSTANT stands at the end: `INPUT(...) | OUTPUT(...) @ CURRICULUM`.
        """
        text = " | ".join(self._parts())
        return text if self._schedule == CONSTANT else f"{text} @ {self._schedule.text}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The canonical text as lines: an edge each, and the schedule where rates change."""
        if self._schedule == CONSTANT:
            return self._parts()
        return *self._parts(), f"rates by the schedule {self._schedule.text}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the placement of this canonical `text`: `Placement.parse(p.text).text == p.text`.

        It equals `p` where noises and schedule are ablate's own. Of another package's the text
        has the name alone: they are read as `Unknown`, which can be shown and not sampled.
        Raises AblateError for what is the text of no placement.
        """
        body, at, schedule = text.partition(" @ ")
        drops: dict[Edge, Drop] = {}
        for part in () if body == _SILENT else body.split(" | "):
            edge, drop = _parse_part(part)
            _refuse_overlap(drops, edge)
            drops[edge] = drop
        placement = cls(drops, parse_schedule(schedule) if at else CONSTANT)
        if placement.text != text:
            raise AblateError(f"the canonical text of '{text}' is '{placement.text}'; write that")
        return placement

    @property
    def schedule(self) -> Schedule:
        """How the rates change while a trial is trained."""
        return self._schedule

    def at(self, update: int, total: int) -> "Placement":
        """This placement at `update` of a trial of `total` updates: its rates times the factor.

        Its schedule is CONSTANT. `update` counts those that are done, from 0 to `total`. Raises
        AblateError for an update beyond the trial, or a factor outside [0, 1].
        """
        if self._schedule == CONSTANT:
            return self
        factor = factor_at(self._schedule, update, total)
        return Placement({edge: drop.scaled(factor) for edge, drop in self._drops.items()})

    @property
    def edges(self) -> Edge:
        """The union of the edges that drop."""
        union = Edge(0)
        for edge in self._drops:
            union |= edge
        return union

    def within(self, layers: int) -> "Placement":
        """What this placement does in a net of so many layers: only at edges that it has.

        INTERLAYER has no place in a net of one layer. A rule by layer becomes the rates of the
        layers: what asks for a rate, `Drop.rate_of`, takes its drop from here.
        """
        places = {edge: len(layers_of(edge, layers)) for edge in self._drops}
        has = {edge: drop.laid(places[edge]) for edge, drop in self._drops.items() if places[edge]}
        return self if has == self._drops else Placement(has, self._schedule)

    def row(self) -> dict[str, Any]:
        """One flat row: for each edge its rate (None where a tuple gives each layer its own, p of a
        rule) and its drop's text, and the schedule's text."""
        row: dict[str, Any] = {}
        for edge in Edge:
            drop, name = self._drops.get(edge), edge.label.lower()
            rate = drop.rate if drop else 0.0
            row[f"{name}.rate"] = None if isinstance(rate, tuple) else rate
            row[f"{name}.drop"] = drop.text if drop else ""
        return row | {"schedule": self._schedule.text}

    def _parts(self) -> tuple[str, ...]:
        return tuple(f"{e.label}({d.text})" for e, d in self._drops.items()) or (_SILENT,)

    def check(self, layers: int, cell: Cell = LSTM) -> None:
        """Raise AblateError where this placement does not fit a net of `layers` layers of `cell`.

        Rates given by layer may be too many or too few, and a cell may lack an edge, or a fill.
        """
        for edge, drop in self._drops.items():
            cell.check(edge, drop)
            places = len(layers_of(edge, layers))
            if isinstance(drop.rate, tuple) and len(drop.rate) != places:
                mend = f"give one rate or {places}" if places else f"leave {edge.label} out"
                raise AblateError(
                    f"{edge.label} acts at {places} layer(s) of a net of {layers}, "
                    f"got {len(drop.rate)} rates {drop.rate}; {mend}",
                    given=drop.rate,
                    allowed=places,
                )


def _parse_part(text: str) -> tuple[Edge, Drop]:
    """The edge and the drop of `CELL(0.3;...)`; raises AblateError for another text."""
    found = _PART.fullmatch(text)
    if found is None:
        form = f"EDGE(DROP) | EDGE(DROP) @ SCHEDULE, or '{_SILENT}'"
        raise WrongValue("a placement's text", form, text)
    edges = {edge.label: edge for edge in Edge}
    if found["edge"] not in edges:
        raise UnknownName("edge", found["edge"], edges)
    return edges[found["edge"]], Drop.parse(found["drop"])


def _checked(drops: Mapping[Edge, Drop] | None) -> Mapping[Edge, Drop]:
    """What a placement is made of; raises AblateError for a value of another type."""
    if drops is None:
        return {}
    if not isinstance(drops, Mapping):
        raise WrongValue("a placement", f"a table such as {_EXAMPLE}", drops)
    for edges, drop in drops.items():
        if not isinstance(edges, Edge):
            allowed = f"an Edge or a union of them as key, as in {_EXAMPLE}"
            raise WrongValue("a placement", allowed, edges)
        if not isinstance(drop, Drop):
            raise WrongValue(f"a placement at {edges.label}", f"a Drop, as in {_EXAMPLE}", drop)
    return drops


def _refuse_overlap(table: Mapping[Edge, Drop], edge: Edge) -> None:
    if edge in table:
        raise AblateError(f"both placements set {edge.label}; an edge takes one drop, so drop one")
