"""What Hypothesis draws: any drop that an edge allows, any placement, any net that holds it.

Runs are derandomised, so that a failure in CI is a failure here. With ABLATE_TORTURE=20 every drawn
test draws twenty times as many examples, other ones each time: a failure prints what reproduces it
and is kept in `.hypothesis`, from where the next such run tries it first.
"""

import os
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from ablate.cells import LSTM, Cell
from ablate.drops import ALL, Drop, Fill, Layers, Scale, Sharing
from ablate.edges import RULES, Edge, layers_of
from ablate.noise import BERNOULLI, GAUSSIAN
from ablate.placement import Placement

EDGES = tuple(LSTM.has)

RATES = st.floats(0.05, 0.8).map(lambda rate: round(rate, 3))


TORTURE = int(os.environ.get("ABLATE_TORTURE", "1"))

# How many placements each law draws, by the name of its test.
PLACEMENTS = MappingProxyType(
    {
        "test_drawn_placements": 250,
        "test_drawn_placements_in_single_precision": 100,
        "test_gradients_of_drawn_placements_are_derivatives": 60,
        "test_drawn_placements_evaluate_alike": 100,
        "test_a_drawn_placement_may_be_cut_anywhere": 100,
        "test_drawn_placements_of_other_cells": 32,
        "test_drawn_placements_of_two_directions": 25,
        "test_gradients_of_drawn_placements_of_other_cells_are_derivatives": 8,
        "test_drawn_placements_of_other_cells_evaluate_alike": 15,
        "test_a_drawn_placement_of_another_cell_may_be_cut_anywhere": 20,
    }
)


def seeded(examples: int) -> settings:
    """The settings of every drawn test: the same examples each time, no clock."""
    if TORTURE > 1:
        return settings(max_examples=examples * TORTURE, deadline=None, print_blob=True)
    return settings(max_examples=examples, derandomize=True, deadline=None)


def law(test: Callable[..., None]) -> Callable[..., None]:
    """Let a law's test draw as many placements as `PLACEMENTS` says for its name."""
    return seeded(PLACEMENTS[test.__name__])(test)


@st.composite
def sharings(draw: Any, edge: Edge, fill: Fill = Fill.ZERO) -> Sharing:
    """Any sharing over the axes of `edge`, some of them left open."""
    extents: dict[str, Any] = {}
    for axis in RULES[edge].axes:
        choices = [None, 1, ALL] if axis in ("word", "gate", "direction") else [None, 1, 2, 3, ALL]
        if axis == "gate" and fill is Fill.HOLD:
            choices.remove(1)
        extents[axis] = draw(st.sampled_from(choices))
    return Sharing(**extents)


@st.composite
def drops(draw: Any, edge: Edge, layers: int = 1, cell: Cell = LSTM) -> Drop:
    """Any drop that `edge` of a cell allows, in some by layer: a rate for each, or a rule."""
    rule, places = cell.rule(edge), len(layers_of(edge, layers))
    rate, by = draw(RATES), Layers.ALL
    if places > 1:
        by = draw(st.sampled_from((*Layers, Layers.ALL)))
    if places > 1 and by is Layers.ALL and draw(st.booleans()):
        rate = tuple(draw(st.one_of(st.just(0.0), RATES)) for _ in range(places))
    fill = draw(st.sampled_from(rule.fills))
    sharing = draw(st.one_of(st.none(), sharings(edge, fill)))
    if fill is Fill.HOLD:
        return Drop(rate, sharing, fill, scale=draw(st.sampled_from((None, Scale.MEAN))), layers=by)
    noise = draw(st.sampled_from((BERNOULLI, GAUSSIAN) if rule.noise else (BERNOULLI,)))
    scales = rule.scales if noise == BERNOULLI else (Scale.TRAIN,)
    return Drop(rate, sharing, fill, noise, draw(st.sampled_from((None, *scales))), by)


@st.composite
def placements(
    draw: Any, layers: int = 1, edges: tuple[Edge, ...] = EDGES, cell: Cell = LSTM
) -> Placement:
    """Any placement over `edges` that fits a net of `layers` layers, the silent one included."""
    present = [edge for edge in edges if edge in cell.has and layers_of(edge, layers)]
    chosen = draw(st.lists(st.sampled_from(present), unique=True, max_size=len(present)))
    return Placement({edge: draw(drops(edge, layers, cell)) for edge in chosen})


class Drawn(NamedTuple):
    """A placement and the number of layers it was drawn for."""

    placement: Placement
    layers: int
    cell: Cell = LSTM


@st.composite
def stacks(draw: Any, most: int = 3, cells: tuple[Cell, ...] = (LSTM,)) -> Drawn:
    """A placement on a net of one to `most` layers of one of these cells."""
    cell = draw(st.sampled_from(cells)) if len(cells) > 1 else cells[0]
    layers = draw(st.integers(1, most))
    return Drawn(draw(placements(layers, cell=cell)), layers, cell)
