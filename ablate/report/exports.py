"""A table as the files that are downloaded or copied: CSV, Markdown, and LaTeX for a paper."""

from collections.abc import Mapping, Sequence
from typing import Final

from ablate.report.columns import named
from ablate.report.escape import markdown
from ablate.report.grid import latex_float, latex_of, markdown_of
from ablate.report.panel import Panel
from ablate.report.table import Table

SUFFIXES: Final = ("csv", "md", "tex")

#: Columns that a page of a paper has no room for, unless they are asked for; Markdown has them, and
#: the CSV every number.
_NOT_PRINTED: Final = frozenset(
    {"train", "test difference", "better", "pairs", "P(better)", "p (paired t)"}
)


def files_of(
    table: Table | Panel,
    *,
    caption: str,
    label: str,
    others: Table | None = None,
    printed: Sequence[str] = (),
) -> Mapping[str, str]:
    """What stands in a table's files, by suffix; `label` is what LaTeX refers to it by.

    What the main table decides stands above it. `others`, which the study file does not ask for,
    are in the CSV alone. `printed` names the main table's columns in LaTeX, in their order; without
    it they are those that a page has room for. Raises UnknownName for a column that it lacks.
    """
    columns, above = table.columns, ""
    if isinstance(table, Table):
        csv, above = table.csv(others), table.verdict
        roomy = [column for column in columns if not {column.head, column.title} & _NOT_PRINTED]
        columns = named(columns, printed) if printed else tuple(roomy)
    else:
        csv = table.csv()
    texts = (
        csv,
        (f"{markdown(above)}\n\n" if above else "")
        + markdown_of(table.columns, table.rows, caption),
        latex_float(latex_of(columns, table.rows), f"{above} {caption}".strip(), label),
    )
    return dict(zip(SUFFIXES, texts, strict=True))
