"""The LSTM with forget gates and without peepholes: Zaremba 2014 (arXiv:1409.2329), section 3.1."""

from types import MappingProxyType
from typing import Final

from ablate.cells.cell import At, Cell, Gates, Place, State, register
from ablate.edges import Edge


def step(z: Gates, old: State, at: At) -> State:
    """c~ = f c + i g; h = o tanh(c~): the listing of `ablate.edges` between z and the new state."""
    i, f, o = z.i.sigmoid(), z.f.sigmoid(), z.o.sigmoid()
    g = at(Edge.UPDATE, z.g.tanh())
    cell = at(Edge.CELL, f * old.c + i * g, old.c)
    h = at(Edge.HIDDEN, o * at.read(Edge.CELL, cell).tanh(), old.h)
    return State(h=h, c=at(Edge.CARRY, cell, old.c))


LSTM: Final = Cell(
    name="lstm",
    gates="ifgo",
    state=("h", "c"),
    edges=MappingProxyType(
        {
            Edge.HIDDEN: Place("h"),
            Edge.CELL: Place("c~"),
            Edge.UPDATE: Place("g"),
            Edge.CARRY: Place("c"),
        }
    ),
    step=step,
    library="lstm",
)

register(LSTM)
