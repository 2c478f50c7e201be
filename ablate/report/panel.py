"""A table beside the main one: what a search chose, the effects of a design, an order of edges."""

from dataclasses import dataclass

import pandas as pd

from ablate.report.columns import Column


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A small table with a title of its own.

    `name` begins its files' names, `rows` have the numbers in full, `columns` say what is read of
    them, and `caption` says what was measured and how.
    """

    name: str
    title: str
    rows: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str = ""
