"""The edges of an unrolled recurrent net at which dropout can act.

These are the equations of an LSTM; other cells (`ablate.cells`) differ between z and s_t. D_e is
the identity at an edge that the placement does not drop; b = b_ih + b_hh.

    u   = D_INPUT(D_EMBEDDING(E)[w_t])         first layer;  u = D_INTERLAYER(h^{l-1}_t)  above it
    r   = D_RECURRENT(s_{t-1})                 HOLD: r = s_{t-1}
    z   = W_ih u + D_WEIGHT(W_hh) r + b
    i, f, o = sigmoid(z_i, z_f, z_o)           g = D_UPDATE(tanh(z_g))
    c~  = D_CELL(f * c_{t-1} + i * g; c_{t-1})
    h~  = o * tanh(c~)
    c_t = D_CARRY(c~; c_{t-1})
    h_t = D_HIDDEN(h~; s_{t-1})
    s_t = h_t                                  HOLD on RECURRENT: D_RECURRENT(h_t; s_{t-1})
    y_t = W_out D_OUTPUT(h^L_t) + b_out

HIDDEN holds s_{t-1}, the state that a call carries. It equals h_{t-1} unless RECURRENT holds too.
With both, a loop of one-step calls still equals one long call.

The default of each rule is that of the papers that its strategy names. CELL and CARRY have
the scale TEST because a division by 1 - p compounds along the cell (x 9e8 in 35 steps at p = .5,
f = .9).
"""

import enum
from dataclasses import dataclass
from typing import Final

from ablate.drops import ALL, Fill, Scale, Sharing
from ablate.errors import UnknownName


class Edge(enum.Flag):
    """An edge of the equations; the bit's position is the edge's number in a mask's address."""

    EMBEDDING = 1 << 0
    INPUT = 1 << 1
    INTERLAYER = 1 << 2
    OUTPUT = 1 << 3
    WEIGHT = 1 << 4
    RECURRENT = 1 << 5
    HIDDEN = 1 << 6
    UPDATE = 1 << 7
    CELL = 1 << 8
    CARRY = 1 << 9
    VERTICAL = INPUT | INTERLAYER | OUTPUT

    @property
    def number(self) -> int:
        """The edge's number in a mask's address (one edge only, not a union)."""
        if len(self) != 1:
            raise ValueError(f"a union of edges has no number: {self}")
        return self.value.bit_length() - 1

    @property
    def label(self) -> str:
        """The edge's name in texts: `INPUT`, `INPUT|OUTPUT`."""
        return "|".join(edge.name or "" for edge in self)


def edges_named(text: str) -> Edge:
    """The union of the edges that `text` names, as in `input|output`; none for an empty one.

    `vertical` is a name too, that of a union.

    Raises AblateError for a name that is no edge's.
    """
    known = {name.lower(): edge for name, edge in Edge.__members__.items()}
    union = Edge(0)
    for name in filter(None, str(text).lower().split("|")):
        if name not in known:
            raise UnknownName("edge", name, known)
        union |= known[name]
    return union


# The edges that act at one layer in a net of any depth.
ONCE = Edge.EMBEDDING | Edge.INPUT | Edge.OUTPUT


def layers_of(edge: Edge, layers: int) -> range:
    """The layers (0 is the lowest) where `edge` acts in a net of `layers` layers."""
    if edge in Edge.EMBEDDING | Edge.INPUT:
        return range(1)
    if edge is Edge.INTERLAYER:
        return range(1, layers)
    if edge is Edge.OUTPUT:
        return range(layers - 1, layers)
    return range(layers)


def rate_index(edge: Edge, layer: int) -> int:
    """The index of the rate of `edge` at `layer`, where it acts, among its drop's rates."""
    if edge in ONCE:
        return 0
    return layer - 1 if edge is Edge.INTERLAYER else layer


@dataclass(frozen=True, slots=True)
class Rule:
    """What one edge allows.

    Its axes are those that the default `sharing` states, and `direction` if both directions have
    the edge.
    """

    sharing: Sharing
    fills: tuple[Fill, ...]
    noise: bool
    scales: tuple[Scale, ...]
    directions: bool = True

    @property
    def axes(self) -> tuple[str, ...]:
        stated = tuple(axis for axis, _ in self.sharing.given())
        return (*stated, "direction") if self.directions else stated


_ZERO, _HOLD = Fill.ZERO, Fill.HOLD
_TRAIN, _TEST = Scale.TRAIN, Scale.TEST
_STEP = Sharing(time=1, batch=1, unit=1, update=1)
_GATED = Sharing(time=1, batch=1, unit=1, gate=ALL, update=1)

#: What each edge allows: a new edge has a bit above, a row here and its place in a cell.
RULES: Final[dict[Edge, Rule]] = {
    Edge.EMBEDDING: Rule(
        Sharing(time=ALL, word=1, batch=1, unit=ALL, update=1),
        (_ZERO,),
        False,
        (_TRAIN, _TEST),
        # Words are dropped before any layer reads them.
        directions=False,
    ),
    Edge.INPUT: Rule(_GATED, (_ZERO,), True, (_TRAIN, _TEST)),
    Edge.INTERLAYER: Rule(_GATED, (_ZERO,), True, (_TRAIN, _TEST)),
    Edge.OUTPUT: Rule(_STEP, (_ZERO,), True, (_TRAIN, _TEST)),
    Edge.WEIGHT: Rule(Sharing(source=1, unit=1, gate=1, update=1), (_ZERO,), True, (_TRAIN, _TEST)),
    Edge.RECURRENT: Rule(_GATED, (_ZERO, _HOLD), True, (_TRAIN, _TEST)),
    Edge.HIDDEN: Rule(_STEP, (_ZERO, _HOLD), True, (_TRAIN, _TEST)),
    Edge.UPDATE: Rule(_STEP, (_ZERO,), True, (_TRAIN, _TEST)),
    Edge.CELL: Rule(_STEP, (_ZERO, _HOLD), False, (_TEST,)),
    Edge.CARRY: Rule(_STEP, (_ZERO, _HOLD), False, (_TEST,)),
}
