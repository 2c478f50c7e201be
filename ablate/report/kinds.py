"""What a placement looks like in a figure: its colour says where it acts, its marker how often.

Strategies are open-ended, so a colour each would run out at eight and say nothing; where dropout
acts and how far one decision reaches in time are the questions of the study, and names are written
beside the points. The four colours are Okabe and Ito's (2008), told apart with any colour vision.
"""

from dataclasses import dataclass
from functools import cache

from ablate.drops import ALL
from ablate.edges import Edge
from ablate.placement import Placement

# The canonical text of the placement that drops nothing.
SILENT = Placement().text

_BETWEEN = Edge.EMBEDDING | Edge.VERTICAL


@dataclass(frozen=True, slots=True)
class EdgeGroup:
    """On which edges a placement acts, seen from the recurrence."""

    name: str
    words: str
    colour: str


@dataclass(frozen=True, slots=True)
class MaskLifetime:
    """How long one decision holds over time."""

    name: str
    words: str
    marker: str


NOWHERE = EdgeGroup("none", "no dropout", "#4d4d4d")
BETWEEN = EdgeGroup("between", "between layers", "#0072b2")
INSIDE = EdgeGroup("inside", "inside the recurrence", "#d55e00")
BOTH = EdgeGroup("both", "both", "#009e73")
EDGE_GROUPS = (NOWHERE, BETWEEN, INSIDE, BOTH)

STEP = MaskLifetime("step", "fresh each step", "o")
WINDOW = MaskLifetime("window", "one mask a window", "s")
MIXED = MaskLifetime("mixed", "mixed or bursts", "D")
MASK_LIFETIMES = (STEP, WINDOW, MIXED)


@cache
def edge_group(placement: str) -> EdgeGroup:
    """Where the placement with this canonical text acts."""
    return group_of(Placement.parse(placement).edges)


def group_of(edges: Edge) -> EdgeGroup:
    """Where a union of edges acts."""
    return {
        (False, False): NOWHERE,
        (True, False): BETWEEN,
        (False, True): INSIDE,
        (True, True): BOTH,
    }[bool(edges & _BETWEEN), bool(edges & ~_BETWEEN)]


@cache
def mask_lifetime(placement: str) -> MaskLifetime:
    """How long the decisions of the placement with this canonical text hold."""
    # WEIGHT has no axis of time: its one mask serves the window.
    drops = Placement.parse(placement).values()
    reaches = {ALL if drop.shared.time is None else drop.shared.time for drop in drops}
    if reaches == {ALL}:
        return WINDOW
    return STEP if reaches <= {1} else MIXED
