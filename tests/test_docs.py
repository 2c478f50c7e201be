"""What `docs/` shows is what there is: the table of edges, and every snippet."""

import re
from pathlib import Path

import pytest
from model import tagger

from ablate.cells import CELLS, GRU, LSTM, RNN, Cell, State
from ablate.cells.cell import register
from ablate.compiling import eagerly
from ablate.drops import Drop, Fill
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies import get
from ablate.testing.case import make_case, window_of
from ablate.testing.paths import assert_paths_equal

CELLS_PAGE = (Path(__file__).parents[1] / "docs" / "cells.md").read_text(encoding="utf-8")


def edges_by_cell() -> str:
    """The table of `docs/cells.md`, made of the rules that the cells publish."""
    lines = ["| edge | " + " | ".join(f"`{name}`" for name in CELLS) + " |", "|---" * 5 + "|"]
    for edge in Edge:
        if len(edge) == 1:
            each = " | ".join(_fills(cell, edge) for cell in CELLS.values())
            lines.append(f"| {edge.label} | {each} |")
    return "\n".join(lines)


def _fills(cell: Cell, edge: Edge) -> str:
    if edge not in cell.has:
        return "-"
    rule = cell.rule(edge)
    scales = " or ".join(scale.value for scale in rule.scales)
    words = {Fill.ZERO: f"ZERO ({scales})", Fill.HOLD: "HOLD"}
    return ", ".join(words[fill] for fill in rule.fills)


def test_the_table_of_edges_is_what_the_cells_publish():
    """Every edge of every cell, with its fills and scales."""
    assert edges_by_cell() in CELLS_PAGE


def test_the_tagger_is_the_one_that_is_shown_and_it_learns():
    """Word for word; after some updates it tags better than by guessing."""
    assert f"```python\n{Path(tagger.__file__).read_text()}```" in CELLS_PAGE
    train, _ = tagger.accuracies(tagger.PLACEMENT, 1, updates=60)
    assert train > 0.5


@pytest.mark.slow
def test_the_tagger_with_dropout_tags_new_sentences_better():
    """For each of three seeds; what is learnt by heart is less."""
    for seed in (1, 2, 3):
        (train, new), (train_dropped, new_dropped) = (
            tagger.accuracies(placement, seed) for placement in (Placement(), tagger.PLACEMENT)
        )
        assert new_dropped > new + 0.02
        assert train_dropped < train


def test_the_cell_that_is_shown_is_a_cell():
    """Every path runs it, under every edge that it has."""
    (shown,) = re.findall(r"```python\n(def step.*?)```", CELLS_PAGE, re.DOTALL)
    scope = {"Edge": Edge, "State": State, "Cell": Cell, "LSTM": LSTM, "register": register}
    with CELLS.isolated():
        exec(compile(shown, "noo.py", "exec"), scope)
        cell = CELLS["noo"]
    assert cell.has == LSTM.has
    case = make_case(cell=cell)
    with eagerly():
        assert_paths_equal(case, Placement(), window_of(case))
        for edge in cell.has & ~Edge.EMBEDDING:
            for fill in cell.rule(edge).fills:
                assert_paths_equal(case, Placement({edge: Drop(0.3, fill=fill)}), window_of(case))


def test_the_strategy_that_asks_for_the_cell_works(own_strategies):
    """It is given each net's own cell, and is no mistake in any."""
    (shown,) = re.findall(r"```python\n(from ablate import Drop.*?)```", CELLS_PAGE, re.DOTALL)
    exec(compile(shown, "inside.py", "exec"), {"__name__": "inside"})
    inside = get("inside")
    assert list(inside.parameters) == ["rate"]
    edges = {cell.name: inside.place(cell).edges for cell in (LSTM, GRU, RNN)}
    all_of_lstm = Edge.HIDDEN | Edge.CELL | Edge.UPDATE | Edge.CARRY
    assert edges == {"lstm": all_of_lstm, "gru": Edge.UPDATE, "rnn": Edge.HIDDEN}
    for cell in CELLS.values():
        inside.place(cell).check(2, cell)
