"""Recurrent cells as values: their gates, their state, their edges and one pure function."""

from ablate.cells.cell import At, Cell, Gates, State
from ablate.cells.lstm import LSTM

__all__ = ["LSTM", "At", "Cell", "Gates", "State"]
