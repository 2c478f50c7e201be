"""Two-level designs over edges: which drop in which run, in as few runs as a resolution needs.

A design is a matrix [runs, edges] of -1 (off) and +1 (on) in which every column is balanced. A
fraction of the full design sets some columns equal to products of others; each product of columns
that is constant is a word of its defining relation, and the length of the shortest word is its
resolution. At resolution 5 no main effect and no interaction of two edges is aliased with another
of these; at 4 such interactions are aliased with each other; at 3 with main effects.

Source: Box, Hunter, Hunter: Statistics for Experimenters (2nd ed., 2005), chapter 6; generators of
the NIST/SEMATECH e-Handbook of Statistical Methods, 5.3.3.4.7.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from ablate.edges import Edge
from ablate.errors import WrongValue

RESOLUTIONS: Final = (3, 4, 5)

# For each number of edges the fractions worth running, from the fewest runs on, as pyDOE3 reads
# them: letters are free columns, words their products. What has no fraction is run in full.
# `fracfact_by_res` of pyDOE3 1.6.2 finds no design for 5 factors at resolution 5, and calls designs
# of 7 to 9 factors in 32 runs one of resolution 5, of which there is none.
FRACTIONS: Final[dict[int, tuple[str, ...]]] = {
    3: ("a b ab",),
    4: ("a b c abc",),
    5: ("a b c ab ac", "a b c d abcd"),
    6: ("a b c ab ac bc", "a b c d abc bcd", "a b c d e abcde"),
    7: ("a b c ab ac bc abc", "a b c d abc bcd acd", "a b c d e f abcdef"),
    8: ("a b c d bcd acd abc abd", "a b c d e f abcd abef"),
    9: (
        "a b c d abc bcd acd abd abcd",
        "a b c d e bcde acde abde abce",
        "a b c d e f g acdfg bcefg",
    ),
    10: (
        "a b c d abc bcd acd abd abcd ab",
        "a b c d e abcd abce abde acde bcde",
        "a b c d e f g abcg bcde acdf",
    ),
}


def design(edges: Sequence[Edge], resolution: int | None) -> tuple[Edge, ...]:
    """Return the runs of the smallest two-level design over `edges` of at least `resolution`.

    A run is the union of the edges that drop in it. The first run drops nowhere; the others follow
    by how many edges drop, and then in the order of `edges`. resolution: 3, 4, 5, or None for all
    2^edges runs, which are also what comes back where no fraction has that resolution.
    Raises AblateError for fewer than two edges, a union, an edge twice, and another resolution.
    """
    if len(edges) < 2 or any(len(edge) != 1 for edge in edges) or len({*edges}) < len(edges):
        given = [edge.label.lower() for edge in edges]
        raise WrongValue("a factorial design", "two edges or more, each once", given)
    if resolution not in (None, *RESOLUTIONS):
        allowed = f"one of {', '.join(map(str, RESOLUTIONS))}, or none for the full design"
        raise WrongValue("the resolution of a factorial design", allowed, resolution)
    on = matrix(len(edges), resolution) > 0
    runs = sorted(
        (tuple(np.flatnonzero(row).tolist()) for row in on), key=lambda run: (len(run), run)
    )
    return tuple(_union(edges[place] for place in run) for run in runs)


def matrix(factors: int, resolution: int | None) -> np.ndarray:
    """The design as -1 and +1, [runs, factors]; one run has -1 in every column."""
    # pyDOE3 takes most of a second to import.
    from pyDOE3 import ff2n, fracfact

    if resolution is not None:
        for generator in FRACTIONS.get(factors, ()):
            fraction = _from_nothing(fracfact(generator))
            found = resolution_of(fraction)
            if found is not None and found >= resolution:
                return fraction
    return _from_nothing(ff2n(factors))


def resolution_of(levels: np.ndarray) -> int | None:
    """The length of the shortest word of the defining relation of a regular design of -1 and +1.

    levels: [runs, factors]. None for a full design, in which no product of columns is constant.
    """
    factors = levels.shape[1]
    for length in range(1, factors + 1):
        for word in itertools.combinations(range(factors), length):
            if len(np.unique(levels[:, word].prod(axis=1))) == 1:
                return length
    return None


def _from_nothing(levels: np.ndarray) -> np.ndarray:
    """The design with signs of columns turned so that its first run has -1 throughout.

    Another sign of a column is another fraction of the same family, of the same resolution.
    """
    return levels * -levels[0]


def _union(edges: Iterable[Edge]) -> Edge:
    union = Edge(0)
    for edge in edges:
        union |= edge
    return union
