"""What stands in stores that no test changes, read once: 42 trials take half a second."""

from functools import cache
from pathlib import Path

import pandas as pd

from ablate.report import epochs, results
from ablate.report.combination import Combination, split
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.store.listing import open_store


def trials_of(folder: Path) -> pd.DataFrame:
    """The trials of the study `placement`, the caller's to change."""
    return _trials(folder).copy()


def epochs_of(folder: Path) -> pd.DataFrame:
    """The learning curves of the study `placement`, the caller's to change."""
    return _epochs(folder).copy()


@cache
def combinations_of(folder: Path) -> tuple[Combination, ...]:
    """The combinations of the study `placement`; nobody changes their frames."""
    store = open_store("placement", None, folder)
    return split(read_trials(store), read_epochs(store), read_cells(store))


@cache
def _trials(folder: Path) -> pd.DataFrame:
    return results("placement", results=folder)


@cache
def _epochs(folder: Path) -> pd.DataFrame:
    return epochs("placement", results=folder)
