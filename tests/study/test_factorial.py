"""Two-level designs over edges: runs, resolutions, order, and what is refused."""

import itertools

import numpy as np
import pytest

from ablate.edges import Edge
from ablate.study.factorial import FRACTIONS, design, matrix, resolution_of

# The runs of the smallest regular two-level designs of a resolution (columns 3, 4, 5): at most
# N - 1 factors in N runs at 3, N / 2 at 4, and 5, 6, 8, 11 in 16, 32, 64, 128 runs at 5.
FEWEST = {
    2: (4, 4, 4),
    3: (4, 8, 8),
    4: (8, 8, 16),
    5: (8, 16, 16),
    6: (8, 16, 32),
    7: (8, 16, 64),
    8: (16, 16, 64),
    9: (16, 32, 128),
    10: (16, 32, 128),
}
SIZES = [
    (factors, resolution, runs)
    for factors, sizes in FEWEST.items()
    for resolution, runs in zip((3, 4, 5), sizes, strict=True)
]


@pytest.mark.parametrize(("factors", "resolution", "runs"), SIZES)
def test_a_design_has_its_resolution_in_the_fewest_runs(
    factors: int, resolution: int, runs: int
) -> None:
    """Distinct runs of balanced columns; a full design has no word at all."""
    levels = matrix(factors, resolution)
    assert levels.shape == (runs, factors)
    assert len(np.unique(levels, axis=0)) == runs
    assert set(np.unique(levels)) == {-1.0, 1.0}
    assert levels.sum(axis=0).tolist() == [0.0] * factors
    found = resolution_of(levels)
    assert (found is None) == (runs == 2**factors)
    assert found is None or found >= resolution


@pytest.mark.parametrize(("factors", "resolution", "runs"), SIZES)
def test_the_run_that_drops_nowhere_is_in_every_design(
    factors: int, resolution: int, runs: int
) -> None:
    """It is the first; then more and more edges drop, in the edges' order, each run once."""
    edges = list(Edge)[:factors]
    made = design(edges, resolution)
    assert made[0] == Edge(0)
    assert len(set(made)) == len(made) == runs
    places = [[edges.index(edge) for edge in run] for run in made]
    assert places == sorted(places, key=lambda run: (len(run), run))


def test_the_words_of_each_fraction() -> None:
    """Resolutions as the tables of the literature have them."""
    from pyDOE3 import fracfact

    found = {
        factors: [resolution_of(fracfact(generator)) for generator in generators]
        for factors, generators in FRACTIONS.items()
    }
    assert found == {
        3: [3],
        4: [4],
        5: [3, 5],
        6: [3, 4, 6],
        7: [3, 4, 7],
        8: [4, 5],
        9: [3, 4, 6],
        10: [3, 4, 5],
    }


def test_five_edges_at_resolution_five() -> None:
    """Sixteen runs with 0, 2 or 4 edges: nothing, every pair, every four."""
    edges = (Edge.INPUT, Edge.INTERLAYER, Edge.OUTPUT, Edge.RECURRENT, Edge.CELL)
    pairs = [a | b for a, b in itertools.combinations(edges, 2)]
    fours = [a | b | c | d for a, b, c, d in itertools.combinations(edges, 4)]
    assert design(edges, 5) == (Edge(0), *pairs, *fours)


def test_runs_follow_the_order_of_the_edges() -> None:
    """The order is the caller's, not that of the bits."""
    edges = (Edge.CELL, Edge.INPUT)
    whole = (Edge(0), Edge.CELL, Edge.INPUT, Edge.CELL | Edge.INPUT)
    assert design(edges, None) == whole
    assert design(edges, 3) == whole, "two edges have no fraction"


def test_a_full_design_has_every_run() -> None:
    """All subsets of four edges, once."""
    edges = (Edge.INPUT, Edge.OUTPUT, Edge.HIDDEN, Edge.CARRY)
    made = design(edges, None)
    assert [len(run) for run in made] == [0] + [1] * 4 + [2] * 6 + [3] * 4 + [4]
    assert len(set(made)) == 16


@pytest.mark.parametrize(
    ("levels", "resolution"),
    [
        pytest.param([[-1, 1], [1, -1]], 2, id="two columns that are one"),
        pytest.param([[1, -1], [1, 1]], 1, id="a constant column"),
        pytest.param([[-1, -1], [-1, 1], [1, -1], [1, 1]], None, id="a full design"),
        pytest.param([[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, 1]], 3, id="a b ab"),
    ],
)
def test_resolution(levels: list[list[int]], resolution: int | None) -> None:
    """The shortest product of columns that is constant."""
    assert resolution_of(np.array(levels, dtype=np.float64)) == resolution


_EDGES = "two edges or more, each once"
_RESOLUTIONS = "one of 3, 4, 5, or none for the full design"


@pytest.mark.parametrize(
    ("edges", "resolution", "given", "allowed"),
    [
        pytest.param([Edge.INPUT], 3, ["input"], _EDGES, id="one-edge"),
        pytest.param([], None, [], _EDGES, id="no-edge"),
        pytest.param([Edge.INPUT, Edge.INPUT], None, ["input", "input"], _EDGES, id="twice"),
        pytest.param(
            [Edge.INPUT | Edge.OUTPUT, Edge.CELL], None, ["input|output", "cell"], _EDGES,
            id="union",
        ),
        pytest.param([Edge.INPUT, Edge.CELL], 6, 6, _RESOLUTIONS, id="resolution-6"),
        pytest.param([Edge.INPUT, Edge.CELL], 2, 2, _RESOLUTIONS, id="resolution-2"),
    ],
)  # fmt: skip
def test_what_makes_no_design_is_refused(
    edges: list[Edge], resolution: int | None, given: object, allowed: str, refused
) -> None:
    """The sentence says what was given and what is allowed."""
    with refused(given=given, allowed=allowed):
        design(edges, resolution)
