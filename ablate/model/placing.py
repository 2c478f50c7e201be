"""Checks of a module's placement, with a hint for an invalid value and a warning for an idle edge.

An edge is idle if the net lacks it: a net of one layer has no INTERLAYER. `torch.nn.LSTM` warns of
`dropout` there, and so do these modules, unless INPUT or OUTPUT drops at the same rate. Then the
drop was meant for all vertical edges, of which a net of one layer has two.
"""

import difflib
from typing import Any, Final

from ablate.cells import LSTM, Cell
from ablate.edges import Edge, layers_of
from ablate.errors import AblateError, WrongValue
from ablate.model.telling import tell
from ablate.placement import Placement
from ablate.schedules import CONSTANT

# One placement for all directions, or one for each (forward, backward).
Placed = Placement | tuple[Placement, Placement]

_MADE: Final = (
    "make one of a table, `ablate.Placement({{ablate.Edge.{edge}: ablate.Drop(0.3)}})`, or of a "
    "strategy, `ablate.strategies.get({strategy!r}).place(){part}`"
)


def checked_placement(
    placement: object, owns: Edge, cell: Cell | None = None, kind: str = "a module"
) -> Placement:
    """A placement that a module can run; raises AblateError for any other value or a schedule.

    `owns` and `cell`, the module's edges and equations, are for the hint. `kind` is the name of a
    module of one direction in messages.
    """
    if placement is None:
        return Placement()
    if isinstance(placement, tuple | list):
        raise AblateError(
            f"{kind} reads in one direction and takes one Placement, got {len(placement)} in a "
            f"{type(placement).__name__}",
            given=len(placement),
        )
    if not isinstance(placement, Placement):
        mend = _hint(placement, owns, cell)
        raise WrongValue("a module", "a Placement or None", placement, mend=mend)
    if placement.schedule != CONSTANT:
        raise AblateError(
            f"a module does not know how many updates there will be, so it cannot follow the "
            f"schedule {placement.schedule.name}; before each update set "
            "`module.placement = placement.at(update, total)`"
        )
    return placement


def checked_placements(
    given: object, owns: Edge, cell: Cell | None, *, directions: int, kind: str
) -> Placed:
    """The placements of a module of one or two directions, each as `checked_placement` returns it.

    `kind` is the module's name in messages.
    """
    if not isinstance(given, tuple | list):
        return checked_placement(given, owns, cell)
    if directions == 1 or len(given) != 2:
        allowed = "one Placement" + (", or a pair (forward, backward)" if directions == 2 else "")
        raise AblateError(
            f"{kind} of {_directions(directions)} takes {allowed}, got {len(given)} in a "
            f"{type(given).__name__}",
            given=len(given),
        )
    forward, backward = (checked_placement(each, owns, cell) for each in given)
    return forward, backward


def by_direction(placed: Placed, directions: int) -> tuple[Placement, ...]:
    """The placement of each direction."""
    return placed if isinstance(placed, tuple) else (placed,) * directions


def _directions(number: int) -> str:
    return "one direction" if number == 1 else "two directions"


def idle(placement: Placement, layers: int) -> Edge:
    """The edges that a net of `layers` layers lacks, unless INPUT or OUTPUT has the same rate."""
    nowhere = Edge(0)
    for edge, drop in placement.items():
        beside = [placement[e].rate for e in (Edge.INPUT, Edge.OUTPUT) if e in placement]
        if not layers_of(edge, layers) and drop.rate not in beside:
            nowhere |= edge
    return nowhere


def warn_idle(edges: Edge, layers: int, mend: str) -> None:
    """Warn that a drop or hook at `edges` acts nowhere, with a remedy."""
    if edges:
        tell(
            f"{edges.label} lies between two layers, and this net has {layers}: what is put there "
            f"acts nowhere; give it two layers or more, or leave the edge out{mend}"
        )


def _hint(given: object, owns: Edge, cell: Cell | None) -> str:
    """How to turn the given value into a placement that the module takes."""
    from ablate.strategies import STRATEGIES

    edge = "RECURRENT" if Edge.RECURRENT in owns else "EMBEDDING"
    asked = _asked(given)
    names = tuple(STRATEGIES)
    near = difflib.get_close_matches(asked, names, n=1, cutoff=0.6) if asked else []
    if not near:
        part = _part(STRATEGIES["gal2016"].place(), owns)
        return _MADE.format(edge=edge, strategy="gal2016", part=part)
    whose = (
        "that strategy's is"
        if asked in names
        else f"no strategy is called {asked!r}, and the nearest one's is"
    )
    strategy = STRATEGIES[near[0]]
    # Only a strategy that depends on the cell needs it as an argument.
    named = f"ablate.cells.{cell.name.upper()}" if cell and strategy.for_cell else ""
    placement = strategy.place(cell or LSTM)
    try:
        for own, drop in placement.items():
            if cell:
                cell.check(own, drop)
    except AblateError as error:
        return f"and {near[0]} cannot stand here: {error}"
    part = _part(placement, owns)
    return f"{whose} `ablate.strategies.get({near[0]!r}).place({named}){part}`"


def _asked(given: Any) -> str:
    """The strategy that a value names: a word, the decorated function, or the strategy object."""
    name = given if isinstance(given, str) else getattr(given, "__name__", None)
    name = getattr(given, "name", None) if name is None else name
    return name if isinstance(name, str) else ""


def _part(placement: Placement, owns: Edge) -> str:
    """The expression that restricts a strategy's placement to the module's edges."""
    others = placement.edges & ~owns
    if not others:
        return ""
    return " - ablate.Edge.EMBEDDING" if others == Edge.EMBEDDING else " & ablate.Edge.EMBEDDING"
