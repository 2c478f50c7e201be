"""A table's entries as they are read: what stands in a column, large and small."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from ablate.errors import AblateError, UnknownName
from ablate.report.numbers import NOTHING, Writer, perplexity, share, signed, spread
from ablate.report.statistics import SEEDS_FOR_INTERVAL
from ablate.report.sweeps import without_dial


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is read: a number or a word, and what stands small behind it."""

    text: str
    small: str = ""
    best: bool = False

    @property
    def whole(self) -> str:
        """Both parts in one line."""
        return f"{self.text} {self.small}".strip()


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is read: its head, the unit under it, and how a row's entry is written.

    `terminal`, `page` and `files` say whether plain text, the page, and Markdown and LaTeX show it.
    """

    head: str
    unit: str
    write: Callable[[pd.Series], Entry]
    left: bool = False
    terminal: bool = True
    page: bool = True
    files: bool = True

    @property
    def title(self) -> str:
        """Head and unit in one line."""
        return f"{self.head} ({self.unit})" if self.unit else self.head


def named(columns: Sequence[Column], names: Iterable[str]) -> tuple[Column, ...]:
    """The columns of Markdown and LaTeX that are called so, by head or title, in that order.

    Several columns of one head come together. Raises UnknownName for any other name, and
    AblateError where a column comes twice.
    """
    files = [column for column in columns if column.files]
    found: list[Column] = []
    for name in names:
        called = [column for column in files if name in (column.head, column.title)]
        if not called:
            raise UnknownName("column of the table", name, dict.fromkeys(c.head for c in files))
        if again := [column.title for column in called if column in found]:
            raise AblateError(f"column '{again[0]}' is named twice; name each once", given=name)
        found += called
    return tuple(found)


def labelled(row: pd.Series) -> Entry:
    """The placement's label without its dial."""
    return Entry(without_dial(row["label"], row["dial_value"]))


def counted(name: str) -> Callable[[pd.Series], Entry]:
    """A count, such as that of diverged trials."""
    return lambda row: Entry(str(row[name]))


def measured(name: str, write: Writer, lowest: float | None = None) -> Callable[[pd.Series], Entry]:
    """A mean over seeds with its spread; `lowest` is the value to mark as the best."""

    def entry(row: pd.Series) -> Entry:
        values = row[f"{name}_values"]
        if not isinstance(values, tuple) or not values:
            return Entry(NOTHING)
        half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
        # An interval's half-width has no sign of its own.
        small = spread(values, half, perplexity if write is signed and half >= 0 else write)
        return Entry(write(row[name]), small, row[name] == lowest)

    return entry


def where(shown: str, write: Callable[[pd.Series], Entry]) -> Callable[[pd.Series], Entry]:
    """The entry of rows whose column `shown` is true, and a dash in all others."""
    return lambda row: write(row) if row[shown] else Entry(NOTHING)


def probable(row: pd.Series) -> Entry:
    """The probability that the placement is better than the baseline on a seed, and its interval.

    From three pairs on, as every interval.
    """
    if not row["valid_pairs"] >= SEEDS_FOR_INTERVAL or pd.isna(row["valid_improvement"]):
        return Entry(NOTHING)
    ends = (row["valid_improvement_low"], row["valid_improvement_high"])
    return Entry(share(row["valid_improvement"]), f"({share(ends[0])} to {share(ends[1])})")


def compared(row: pd.Series) -> Entry:
    """In how many pairs the placement is better than the baseline, and in how many equal to it."""
    pairs = row["valid_pairs"]
    if pd.isna(pairs) or not pairs:
        return Entry(NOTHING)
    equal = f", {row['valid_equal']:g} equal" if row["valid_equal"] else ""
    return Entry(f"{row['valid_better']:g} of {pairs:g}{equal}")


def paired(row: pd.Series) -> Entry:
    """How many seeds the placement shares with the baseline."""
    pairs = row["valid_pairs"]
    return Entry(NOTHING if pd.isna(pairs) else f"{pairs:g}")
