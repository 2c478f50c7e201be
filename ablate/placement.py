"""A placement: an immutable table `Edge -> Drop` with a schedule, comparable and printable."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from ablate.cells import LSTM, Cell
from ablate.drops import Drop
from ablate.edges import Edge, layers_of
from ablate.errors import AblateError, UnknownName, WrongValue
from ablate.noise import check as check_noise
from ablate.rules import complete
from ablate.schedules import CONSTANT, Schedule, factor_at, parse_schedule
from ablate.sources import built_in

_EXAMPLE: Final = "{Edge.RECURRENT: Drop(0.3)}"

_SILENT: Final = "none"

_PART: Final = re.compile(r"(?P<edge>\w+)\((?P<drop>[^()]*)\)")


class Placement(Mapping[Edge, Drop]):
    """Where, how often and how dropout acts.

    A union of edges as key gives each of them the same drop. Defaults are filled in and silent
    drops are removed, so equal placements are equal values with one canonical `text`. `schedule`
    says how the rates change during training; `Placement(other, CURRICULUM)` has the drops of
    `other` and this schedule.
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
        # A placement without drops must have one text, so it ignores its schedule.
        self._schedule = schedule if live else CONSTANT

    def __getitem__(self, edge: Edge) -> Drop:
        if isinstance(edge, Edge) and len(edge) > 1:
            mend = "`placement & edges` has the drops of a union"
            raise WrongValue("a placement's lookup", "one edge", edge.label, mend=mend)
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
        """Join two placements; raises AblateError if both set an edge, or schedules differ."""
        if not isinstance(other, Placement):
            return NotImplemented
        for edge in other:
            _refuse_overlap(self._drops, edge)
        # A silent placement has no rates, so its schedule does not count.
        schedules = {part._schedule for part in (self, other) if part} or {CONSTANT}
        if len(schedules) > 1:
            names = " and ".join(part._schedule.name for part in (self, other))
            raise AblateError(
                f"a placement has one schedule, and these two have {names}; give both the same, "
                "such as Placement(a, schedule) | Placement(b, schedule)"
            )
        return Placement({**self._drops, **other._drops}, schedules.pop())

    def __and__(self, edges: Edge) -> "Placement":
        """The drops of this placement at `edges`, one or a union."""
        if not isinstance(edges, Edge):
            return NotImplemented
        return self._only(edges)

    def __sub__(self, edges: Edge) -> "Placement":
        """The drops of this placement at all edges except `edges`, one or a union."""
        if not isinstance(edges, Edge):
            return NotImplemented
        return self._only(~edges)

    def _only(self, edges: Edge) -> "Placement":
        left = {edge: drop for edge, drop in self._drops.items() if edge in edges}
        # Return the same object where nothing changes: a module calls this on every forward.
        return self if len(left) == len(self) else Placement(left, self._schedule)

    def __repr__(self) -> str:
        return f"Placement({self.text})"

    @property
    def text(self) -> str:
        """The one canonical text of this placement; `none` when it is silent.

        A schedule other than CONSTANT comes last: `INPUT(...) | OUTPUT(...) @ CURRICULUM`.
        """
        text = " | ".join(self._parts())
        return text if self._schedule == CONSTANT else f"{text} @ {self._schedule.text}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The canonical text as lines: one for each edge, and one for a changing schedule."""
        if self._schedule == CONSTANT:
            return self._parts()
        return *self._parts(), f"rates by the schedule {self._schedule.text}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the placement of a canonical `text`: `Placement.parse(p.text).text == p.text`.

        It equals `p` if noises and schedule are built in. A text only names those of a plugin, so
        they are read as `Unknown`, which can be shown but not sampled.
        Raises AblateError for any other text.
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
        """How the rates change during training."""
        return self._schedule

    def at(self, update: int, total: int) -> "Placement":
        """This placement at `update` of a trial of `total` updates: its rates times the factor.

        The result has the schedule CONSTANT. `update` counts finished updates, from 0 to `total`.
        Raises AblateError for an update beyond the trial, or a factor outside [0, 1].
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
        """This placement in a net of `layers` layers, restricted to the edges of that net.

        A net of one layer has no INTERLAYER. A layer rule becomes the rates of the layers;
        `Drop.rate_of` needs a drop from here.
        """
        places = {edge: len(layers_of(edge, layers)) for edge in self._drops}
        has = {edge: drop.laid(places[edge]) for edge, drop in self._drops.items() if places[edge]}
        return self if has == self._drops else Placement(has, self._schedule)

    def row(self) -> dict[str, Any]:
        """One flat row: the rate of each edge (None for a tuple of rates, p for a rule), the text
        of its drop, and the text of the schedule."""
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
        """Raise AblateError if this placement does not fit a net of `layers` layers of `cell`.

        A tuple may have too many or too few rates; a cell may lack an edge or a fill.
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

    def check_noises(self, layers: int) -> None:
        """Raise AblateError if a plugin's noise fails at a rate of a net of `layers` layers."""
        for drop in self.within(layers).values():
            for rate in filter(None, drop.rates):
                if not built_in(type(drop.noise).__module__):
                    check_noise(drop.noise, rate)


def _parse_part(text: str) -> tuple[Edge, Drop]:
    """The edge and the drop of `CELL(0.3;...)`; raises AblateError for any other text."""
    found = _PART.fullmatch(text)
    if found is None:
        form = f"EDGE(DROP) | EDGE(DROP) @ SCHEDULE, or '{_SILENT}'"
        raise WrongValue("a placement's text", form, text)
    edges = {edge.label: edge for edge in Edge}
    if found["edge"] not in edges:
        raise UnknownName("edge", found["edge"], edges)
    return edges[found["edge"]], Drop.parse(found["drop"])


def _checked(drops: Mapping[Edge, Drop] | None) -> Mapping[Edge, Drop]:
    """The given drops; raises AblateError for keys or values of another type."""
    if drops is None:
        return {}
    if not isinstance(drops, Mapping):
        raise WrongValue("a placement", f"a table such as {_EXAMPLE}", drops)
    for edges, drop in drops.items():
        if not isinstance(edges, Edge):
            allowed = f"an Edge or a union of them as key, as in {_EXAMPLE}"
            raise WrongValue("a placement", allowed, edges)
        if not edges:
            mend = "a union of edges is written with |"
            raise WrongValue("a placement", "one or more edges as key", edges, mend=mend)
        if not isinstance(drop, Drop):
            raise WrongValue(f"a placement at {edges.label}", f"a Drop, as in {_EXAMPLE}", drop)
    return drops


def _refuse_overlap(table: Mapping[Edge, Drop], edge: Edge) -> None:
    if edge in table:
        raise AblateError(f"both placements set {edge.label}; an edge takes one drop, so drop one")
