"""A table as the files that are downloaded or copied: CSV, Markdown, and LaTeX for a paper."""

from collections.abc import Mapping
from typing import Final

from ablate.report.escape import markdown
from ablate.report.grid import latex_float, latex_of, markdown_of
from ablate.report.panel import Panel
from ablate.report.table import Table

SUFFIXES: Final = ("csv", "md", "tex")

#: Columns that a page of a paper has no room for; Markdown has them, and the CSV every number.
_NOT_PRINTED: Final = frozenset(
    {"train", "test difference", "better", "pairs", "P(better)", "p (paired t)"}
)


def files_of(
    table: Table | Panel, *, caption: str, label: str, others: Table | None = None
) -> Mapping[str, str]:
    """What stands in a table's files, by suffix; `label` is what LaTeX refers to it by.

    What the main table decides stands above it. `others`, which the study file does not ask for,
    are in the CSV alone.
    """
    columns, above = table.columns, ""
    if isinstance(table, Table):
        csv, above = table.csv(others), table.verdict
        columns = tuple(c for c in columns if not {c.head, c.title} & _NOT_PRINTED)
    else:
        csv = table.csv()
    texts = (
        csv,
        (f"{markdown(above)}\n\n" if above else "")
        + markdown_of(table.columns, table.rows, caption),
        latex_float(latex_of(columns, table.rows), f"{above} {caption}".strip(), label),
    )
    return dict(zip(SUFFIXES, texts, strict=True))
