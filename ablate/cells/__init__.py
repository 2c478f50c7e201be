"""Recurrent cells as values: their gates, their state, their edges and one pure function."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ablate.cells.cell import At, Cell, Gates, State
from ablate.cells.gru import GRU
from ablate.cells.lstm import LSTM
from ablate.cells.rnn import RNN, RNN_RELU
from ablate.errors import AblateError, did_you_mean

CELLS: Final[Mapping[str, Cell]] = MappingProxyType(
    {cell.name: cell for cell in (LSTM, GRU, RNN, RNN_RELU)}
)


def get(name: str) -> Cell:
    """The cell of this name; raises AblateError where there is none."""
    if not isinstance(name, str):
        raise AblateError(f"a cell is named by a text, {' or '.join(CELLS)}, got {name!r:.40}")
    if name not in CELLS:
        near = did_you_mean(name, CELLS)
        raise AblateError(f"no cell is called '{name}'{near}; there are {', '.join(CELLS)}")
    return CELLS[name]


__all__ = ["CELLS", "GRU", "LSTM", "RNN", "RNN_RELU", "At", "Cell", "Gates", "State", "get"]
