"""The gated recurrent unit: Cho 2014 (arXiv:1406.1078), in the form of `torch.nn.GRU`.

Cho's own reset gate multiplies h before the product, W (r * h); here, as in cuDNN, it multiplies
what the product makes of h, r * (W h + b_h), so that one product serves all gates.
"""

from types import MappingProxyType
from typing import Final

from ablate.cells.cell import At, Cell, Gates, Place, State, register
from ablate.drops import Fill
from ablate.edges import Edge


def step(z: Gates, old: State, at: At) -> State:
    """n = tanh(x_n + r h_n); h = (1 - z) n + z h, with z the update gate."""
    r, update = z.r.sigmoid(), z.z.sigmoid()
    n = at(Edge.UPDATE, (z.x.n + r * z.h.n).tanh())
    return State(h=at(Edge.HIDDEN, (1.0 - update) * n + update * old.h, old.h))


GRU: Final = Cell(
    name="gru",
    gates="rzn",
    state=("h",),
    edges=MappingProxyType(
        {
            Edge.HIDDEN: Place(
                "h",
                (Fill.HOLD,),
                "its h is its memory, which zeros would erase and a division by 1 - p would let "
                "grow from step to step; drop what reads it, INTERLAYER, OUTPUT or RECURRENT",
            ),
            Edge.UPDATE: Place("n"),
        }
    ),
    step=step,
    lacks=MappingProxyType(
        {
            Edge.CELL: "its memory is h; hold that by HIDDEN with the fill HOLD",
            Edge.CARRY: "its memory is h; hold that by HIDDEN with the fill HOLD",
        }
    ),
    library="gru",
)

register(GRU)
