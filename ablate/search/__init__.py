"""Searches: which points of a strategy's own space are tried, one after the other, by Optuna."""

from typing import Final

#: How many arguments a point of the unit cube has coordinates for, and how many nuisances.
CUBE: Final = (32, 8)
