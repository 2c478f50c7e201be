"""The plain recurrent net: Elman 1990 (doi:10.1207/s15516709cog1402_1), as `torch.nn.RNN`."""

from types import MappingProxyType
from typing import Final

from ablate.cells.cell import At, Cell, Gates, Place, State, register
from ablate.edges import Edge

_EDGES: Final = MappingProxyType({Edge.HIDDEN: Place("h")})

_MEMORY: Final = "it has no memory but h; drop that by HIDDEN"

_LACKS: Final = MappingProxyType(
    {
        Edge.UPDATE: "what it writes is all of h; drop that by HIDDEN",
        Edge.CELL: _MEMORY,
        Edge.CARRY: _MEMORY,
    }
)


def tanh_step(z: Gates, old: State, at: At) -> State:
    """h = tanh(z)."""
    return State(h=at(Edge.HIDDEN, z.n.tanh(), old.h))


def relu_step(z: Gates, old: State, at: At) -> State:
    """h = max(z, 0)."""
    return State(h=at(Edge.HIDDEN, z.n.relu(), old.h))


RNN: Final = Cell("rnn", "n", ("h",), _EDGES, tanh_step, _LACKS, "rnn_tanh")
RNN_RELU: Final = Cell("rnn_relu", "n", ("h",), _EDGES, relu_step, _LACKS, "rnn_relu")

register(RNN)
register(RNN_RELU)
