"""A table beside the main one: what a search chose, the effects of a design, an order of edges."""

from dataclasses import dataclass

import pandas as pd

from ablate.report.columns import Column
from ablate.report.grid import csv_of, markdown_of, text_of


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A small table with a title of its own.

    `name` begins its files' names, `rows` have the numbers in full, `columns` say what is read of
    them, and `caption` says what was measured and how. `dropout_on` says that its train losses were
    measured with dropout on.
    """

    name: str
    title: str
    rows: pd.DataFrame
    columns: tuple[Column, ...]
    caption: str = ""
    dropout_on: bool = False

    def csv(self) -> str:
        """Every number in full."""
        return csv_of(self.rows)

    def markdown(self) -> str:
        """A Markdown table, and its caption."""
        return markdown_of(self.columns, self.rows, self.caption)

    def text(self, width: int = 100) -> str:
        """Plain text; where `width` is too small, what stands small behind the entries goes."""
        none: frozenset[str] = frozenset()
        heads = frozenset(column.head for column in self.columns)
        return text_of(self.columns, self.rows, [(heads, none), (none, none)], width)
