"""Recurrent cells as values: their gates, their state, their edges and one pure function."""

from ablate.cells.cell import CELLS, At, Cell, Gates, State

from ablate.cells.lstm import LSTM  # isort: skip  (the order of listings)
from ablate.cells.gru import GRU
from ablate.cells.rnn import RNN, RNN_RELU
from ablate.registry import import_all

# A cell is one file: whatever else lies in the folder registers itself too.
import_all(__name__, __path__)

get = CELLS.find


__all__ = ["CELLS", "GRU", "LSTM", "RNN", "RNN_RELU", "At", "Cell", "Gates", "State", "get"]
