"""A placement: an immutable table `Edge -> Drop`, complete, comparable and printable."""

from collections.abc import Iterator, Mapping
from typing import Any

from ablate.drops import Drop
from ablate.edges import Edge, layers_of
from ablate.errors import AblateError
from ablate.rules import complete


class Placement(Mapping[Edge, Drop]):
    """Where, how often and how dropout acts.

    A union of edges as key gives each of them the same drop. Defaults are filled in and silent
    drops vanish, so that equal placements are equal values with one canonical `text`.
    Raises AblateError for a combination that does not exist.
    """

    __slots__ = ("_drops",)

    def __init__(self, drops: Mapping[Edge, Drop] | None = None) -> None:
        table: dict[Edge, Drop] = {}
        for edges, drop in (drops or {}).items():
            for edge in edges:
                _refuse_overlap(table, edge)
                table[edge] = complete(edge, drop)
        live = {edge: drop for edge, drop in table.items() if not drop.silent}
        self._drops = dict(sorted(live.items(), key=lambda item: item[0].number))

    def __getitem__(self, edge: Edge) -> Drop:
        return self._drops[edge]

    def __iter__(self) -> Iterator[Edge]:
        return iter(self._drops)

    def __len__(self) -> int:
        return len(self._drops)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Placement) and self._drops == other._drops

    def __or__(self, other: "Placement") -> "Placement":
        """Join two placements; an edge that both set is refused."""
        for edge in other:
            _refuse_overlap(self._drops, edge)
        return Placement({**self._drops, **other._drops})

    def __repr__(self) -> str:
        return f"Placement({self.text})"

    @property
    def text(self) -> str:
        """The one canonical text of this placement; `none` when it is silent."""
        return " | ".join(f"{e.label}({d.text})" for e, d in self._drops.items()) or "none"

    @property
    def edges(self) -> Edge:
        """The union of the edges that drop."""
        union = Edge(0)
        for edge in self._drops:
            union |= edge
        return union

    def row(self) -> dict[str, Any]:
        """One flat row: for each edge its rate (None where layers differ) and its drop's text."""
        row: dict[str, Any] = {}
        for edge in Edge:
            drop, name = self._drops.get(edge), edge.label.lower()
            rate = drop.rate if drop else 0.0
            row[f"{name}.rate"] = None if isinstance(rate, tuple) else rate
            row[f"{name}.drop"] = drop.text if drop else ""
        return row

    def check(self, layers: int) -> None:
        """Raise AblateError where rates given by layer do not fit a net of `layers` layers."""
        for edge, drop in self._drops.items():
            places = len(layers_of(edge, layers))
            if isinstance(drop.rate, tuple) and len(drop.rate) != places:
                raise AblateError(
                    f"{edge.label} acts at {places} layer(s) of a net of {layers}, "
                    f"got {len(drop.rate)} rates {drop.rate}; give one rate or {places}"
                )


def _refuse_overlap(table: Mapping[Edge, Drop], edge: Edge) -> None:
    if edge in table:
        raise AblateError(f"both placements set {edge.label}; an edge takes one drop, so drop one")
