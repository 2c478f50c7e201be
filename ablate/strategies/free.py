"""Every edge with a rate and a sharing of its own: the whole table, for a search to fill in."""

import inspect
from typing import Any, Final, Literal

from ablate.cells import LSTM, Cell
from ablate.drops import Drop
from ablate.edges import RULES, Edge
from ablate.placement import Placement
from ablate.strategies.decorator import strategy
from ablate.strategies.parameters import Rate
from ablate.strategies.single import OVER_TIME

OFF: Final = "off"
RATE: Final = 0.25

# A weight has no time: its mask is that of a window.
_TIMED = Literal["off", "step", "window"]
_UNTIMED = Literal["off", "window"]


def free(of: Cell = LSTM, **given: Any) -> Placement:
    """Drop where, how often and how much the arguments say, at every edge on its own.

    An edge has two arguments: `input` is "off", or how long a mask is kept, "step" or "window", and
    `input_rate` its rate. What is off has no effect, nor has an edge that the cell lacks.
    Source: ours, the space that a search may look through, in which most single placements lie.
    Not here: no paper trains this scheme.
    Evaluation: as at each of the edges, weight scaling for what is kept for a window.
    Default: every edge off, its rate .25, that of every single edge.
    """
    drops: dict[Edge, Drop] = {}
    for edge in of.has:
        over_time, rate = given[name_of(edge)], given[rate_of(edge)]
        if over_time != OFF:
            drops[edge] = Drop(rate, OVER_TIME[over_time]) if timed(edge) else Drop(rate)
    return Placement(drops)


def name_of(edge: Edge) -> str:
    """The argument that says whether and how long the edge drops."""
    return edge.label.lower()


def rate_of(edge: Edge) -> str:
    """The argument that says how much the edge drops."""
    return f"{name_of(edge)}_rate"


def timed(edge: Edge) -> bool:
    """Whether a mask of the edge may be that of a step."""
    return "time" in RULES[edge].axes


def _signature() -> inspect.Signature:
    """Two parameters an edge, so that an edge is stated in `ablate.edges` alone."""
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("of", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=LSTM)]
    for edge in Edge:
        parameters.append(inspect.Parameter(name_of(edge), kind, default=OFF))
        parameters.append(inspect.Parameter(rate_of(edge), kind, default=RATE))
    return inspect.Signature(parameters)


free.__annotations__ = {"of": Cell, "return": Placement} | {
    name: annotation
    for edge in Edge
    for name, annotation in (
        (name_of(edge), _TIMED if timed(edge) else _UNTIMED),
        (rate_of(edge), Rate),
    )
}
free.__signature__ = _signature()  # pyright: ignore[reportFunctionMemberAccess]
free = strategy()(free)
