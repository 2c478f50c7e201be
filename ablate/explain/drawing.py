"""The unrolled net in characters, with a mark wherever a mask acts.

A mark's number is its decision's: the same number on two steps is one decision for both.
"""

from typing import Final

from ablate.cells import LSTM, Cell
from ablate.drops import Fill
from ablate.edges import Edge, rate_index
from ablate.explain.describe import decision, rate_words
from ablate.placement import Placement

MARKS: Final = {Fill.ZERO: "●", Fill.HOLD: "≈"}
GUTTER: Final = 18
LEFT, INNER, RIGHT = 4, 11, 3
COLUMN: Final = LEFT + 1 + INNER + 1 + RIGHT

# What a terminal without these characters shows instead, one for one.
ASCII: Final = str.maketrans("●≈▲▶│─┌┐└┘┴", "o~^>|-+++++")


def columns_that_fit(width: int) -> int:
    """How many steps fit into `width` characters; at least one."""
    return max(1, (width - GUTTER) // COLUMN)


def draw(placement: Placement, layers: int, steps: tuple[int, ...], cell: Cell = LSTM) -> str:
    """Draw the net over `steps`, given relative to t, the highest layer on top."""
    net = _Net(placement, layers, steps, cell)
    rows = [net.upright([_name("y", step) for step in steps]), net.upright("▲")]
    for layer in reversed(range(layers)):
        above = Edge.OUTPUT if layer == layers - 1 else Edge.INTERLAYER
        rows += net.crossing(above, layer if above is Edge.OUTPUT else layer + 1) or [net.link()]
        rows += net.box(layer)
    rows += net.crossing(Edge.INPUT, 0)
    rows += net.crossing(Edge.EMBEDDING, 0)
    rows += [net.link(), net.upright([_name("w", step) for step in steps])]
    return "\n".join(row.rstrip() for row in rows)


class _Net:
    """A placement over the steps of a drawing; each method gives rows of characters."""

    def __init__(
        self, placement: Placement, layers: int, steps: tuple[int, ...], cell: Cell
    ) -> None:
        self.placement = placement.within(layers)
        self.steps, self.cell = steps, cell

    def live(self, edge: Edge, layer: int) -> bool:
        """Whether `edge` drops at `layer`."""
        drop = self.placement.get(edge)
        return drop is not None and drop.rate_of(rate_index(edge, layer)) > 0.0

    def label(self, edge: Edge, layer: int) -> str:
        rate = self.placement[edge].rate_of(rate_index(edge, layer))
        label = f"{edge.label} {rate_words(rate)}"
        return label if len(label) < GUTTER else f"{edge.label} {rate:.3g}"

    def mark(self, edge: Edge, column: int) -> str:
        drop = self.placement[edge]
        return MARKS[drop.fill] + decision(drop, column)

    def row(self, label: str, columns: list[str]) -> str:
        return f"{label:<{GUTTER}}" + "".join(columns)

    def upright(self, what: str | list[str], label: str = "") -> str:
        """One row of things that stand on the middle of each column."""
        things = [what] * len(self.steps) if isinstance(what, str) else what
        middle = LEFT + 1 + INNER // 2
        return self.row(label, [(" " * middle + thing).ljust(COLUMN) for thing in things])

    def link(self) -> str:
        return self.upright("│")

    def crossing(self, edge: Edge, layer: int) -> list[str]:
        """The masks of a vertical edge into or out of `layer`, between two links; else nothing."""
        if not self.live(edge, layer):
            return []
        marks = [self.mark(edge, column) for column in range(len(self.steps))]
        return [self.link(), self.upright(marks, self.label(edge, layer))]

    def box(self, layer: int) -> list[str]:
        """One layer: the cell's line, what is dropped inside, the state's line."""
        half = "─" * (INNER // 2)
        rows = [self._plain(f"layer {layer + 1}", f"┌{half}┴{half}┐")]
        rows += [self._memory(name, layer) for name in self.cell.state[1:]]
        # CARRY stands on the memory's line, and what a product reads below what it makes.
        inside = {
            edge: place.tensor for edge, place in self.cell.edges.items() if edge is not Edge.CARRY
        }
        for edge, tensor in (inside | {Edge.WEIGHT: "W_hh"}).items():
            if self.live(edge, layer):
                columns = [
                    f"│ {tensor:<4} {self.mark(edge, k):<5}│" for k in range(len(self.steps))
                ]
                rows.append(self._sides(self.label(edge, layer), columns))
        return [*rows, self._state(layer), self._plain("", f"└{half}▲{half}┘")]

    def _plain(self, label: str, box: str) -> str:
        return self._sides(label, [box] * len(self.steps))

    def _sides(self, label: str, boxes: list[str]) -> str:
        return self.row(label, [" " * LEFT + box + " " * RIGHT for box in boxes])

    def _memory(self, tensor: str, layer: int) -> str:
        live = self.live(Edge.CARRY, layer)
        label = self.label(Edge.CARRY, layer) if live else ""
        return self.row(
            label,
            [
                _line(tensor, "", self.mark(Edge.CARRY, k) if live else "")
                for k in range(len(self.steps))
            ],
        )

    def _state(self, layer: int) -> str:
        if not self.live(Edge.RECURRENT, layer):
            return self.row("", [_line("s", "", "")] * len(self.steps))
        # ZERO acts where the gates read the state, HOLD where the state is written.
        written = self.placement[Edge.RECURRENT].fill is Fill.HOLD
        marks = [self.mark(Edge.RECURRENT, k) for k in range(len(self.steps))]
        lines = [_line("s", "", mark) if written else _line("s", mark, "") for mark in marks]
        return self.row(self.label(Edge.RECURRENT, layer), lines)


def _line(tensor: str, before: str, after: str) -> str:
    """A row of a box through which a tensor runs from step to step."""
    return f"─{before or '──'}▶│ {tensor:<{INNER - 1}}│{('─' + (after or '──')):<{RIGHT}}"


def _name(tensor: str, step: int) -> str:
    return f"{tensor}(t)" if step == 0 else f"{tensor}(t{step:+d})"
