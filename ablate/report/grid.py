"""Columns and rows in every form that a report has: CSV, Markdown, LaTeX and terminal text.

The main table and the panels beside it are written here, so that a number looks the same in both.
"""

import re
from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text

from ablate.report.columns import Column, Entry
from ablate.report.escape import markdown, tex
from ablate.report.names import shortened
from ablate.tables import latex_table, markdown_table, printed

Columns = Sequence[Column]

#: Heads shown with what stands small behind them, and heads left out.
Layout = tuple[frozenset[str], frozenset[str]]

# What a label of LaTeX is not made of.
_NO_LETTERS = re.compile(r"[^A-Za-z0-9]+")
# Where nothing else fits, names in plain text are no longer than this.
_SHORTEST_NAME = 16


def entries_of(columns: Columns, rows: pd.DataFrame) -> list[list[Entry]]:
    """What is read, row by row."""
    return [[column.write(row) for column in columns] for _, row in rows.iterrows()]


def csv_of(rows: pd.DataFrame) -> str:
    """Every number in full; several values of one entry are separated by spaces."""
    shown = rows.drop(columns="keys", errors="ignore")
    listed = [name for name in shown.columns if str(name).endswith("_values")]
    spelled = {str(name): shown[name].map(_spell) for name in listed}
    return shown.assign(**spelled).to_csv(index=False, lineterminator="\n")


def markdown_of(columns: Columns, rows: pd.DataFrame, caption: str = "") -> str:
    """A Markdown table, and its caption; what leads is bold."""
    columns = [column for column in columns if column.files]
    lines = []
    for row in entries_of(columns, rows):
        texts = [(markdown(entry.whole), entry.best) for entry in row]
        lines.append([f"**{text}**" if best else text for text, best in texts])
    heads = [markdown(column.title) for column in columns]
    table = markdown_table(heads, lines, right=[not column.left for column in columns])
    return f"{table}\n{markdown(caption)}\n" if caption else table


def latex_of(columns: Columns, rows: pd.DataFrame) -> str:
    """A tabular for the package `booktabs`; what leads is bold."""
    columns = [column for column in columns if column.files]
    lines = []
    for row in entries_of(columns, rows):
        texts = [(tex(entry.whole), entry.best) for entry in row]
        lines.append([rf"\textbf{{{text}}}" if best else text for text, best in texts])
    # A head beside its unit would be wider than what stands below it.
    heads = [[tex(column.head) for column in columns], [tex(column.unit) for column in columns]]
    return latex_table(heads, lines, right=[not column.left for column in columns])


def latex_float(tabular: str, caption: str, label: str) -> str:
    """A tabular of `latex_of` in a `table` environment, with caption and label, in small type."""
    name = _NO_LETTERS.sub("-", label).strip("-")
    return (
        "% \\usepackage{booktabs}\n\\begin{table}[t]\n\\centering\n\\small\n"
        "\\setlength{\\tabcolsep}{4pt}\n"
        f"\\caption{{{tex(caption)}}}\n\\label{{tab:{name}}}\n{tabular}\\end{{table}}\n"
    )


def text_of(
    columns: Columns, rows: pd.DataFrame, layouts: Sequence[Layout], width: int = 100
) -> str:
    """Plain text in the first of `layouts` that fits into `width`.

    Where none does, the last one: what is left-aligned behind the first column goes over several
    lines, and if that is not enough, the middles of long names are left out.
    """
    entries = entries_of(columns, rows)
    for layout in layouts:
        text = _rendered(columns, entries, layout)
        if _widest(text) <= width:
            return text
    if any(column.left for column in columns[1:]):
        text = _rendered(columns, entries, layouts[-1], wrapped=width)
        if _widest(text) <= width:
            return text
    longest = max(len(row[0].text) for row in entries)
    too_wide = _widest(_rendered(columns, entries, layouts[-1])) - width
    return _rendered(columns, entries, layouts[-1], name=longest - too_wide)


def _rendered(
    columns: Columns,
    entries: list[list[Entry]],
    layout: Layout,
    *,
    name: int | None = None,
    wrapped: int | None = None,
) -> str:
    spreads, left_out = layout
    table = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False)
    kept = [i for i, c in enumerate(columns) if c.terminal and c.head not in left_out]
    for index in kept:
        column = columns[index]
        side = "left" if column.left else "right"
        whole = wrapped is None or not column.left or index == kept[0]
        table.add_column(f"{column.head}\n{column.unit}", justify=side, no_wrap=whole)
    names = {}
    if name is not None:
        names = shortened((row[0].text for row in entries), max(name, _SHORTEST_NAME))
    for row in entries:
        shown = [(columns[index].head in spreads, row[index]) for index in kept]
        texts = [entry.whole if whole else entry.text for whole, entry in shown]
        table.add_row(*map(Text, [names.get(texts[0], texts[0]), *texts[1:]]))
    text = printed(table) if wrapped is None else printed(table, wrapped)
    return "".join(f"{line}\n" for line in text.splitlines() if line)


def _widest(text: str) -> int:
    return max(map(cell_len, text.splitlines()))


def _spell(values: object) -> str:
    return " ".join(map(repr, values)) if isinstance(values, tuple) else ""
