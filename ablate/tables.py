"""Columns and rows as terminal text, Markdown and LaTeX.

rich prints to the terminal. Markdown and LaTeX have one line for each row and no padding: tabulate
and pandas pad columns, and one longer name would change every line of a versioned table.
"""

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

# Wider than any table: a file must not be wrapped at the width of a terminal.
_NO_END = 1000


def plain_table(*headings: str) -> "Table":
    """A table without lines, for a terminal."""
    from rich.table import Table

    return Table(*headings, box=None, pad_edge=False, header_style="bold")


def printed(renderable: "RenderableType", width: int = _NO_END) -> str:
    """A rich renderable as text, without colours and trailing spaces."""
    from rich.console import Console

    out = StringIO()
    console = Console(
        file=out, width=width, color_system=None, highlight=False, markup=False, emoji=False
    )
    console.print(renderable)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[bool]
) -> str:
    """A Markdown table of Markdown texts; `right` says which columns are right-aligned."""
    rule = ["--:" if flush else ":--" for flush in right]
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, rule, *rows))


def latex_table(
    heads: Sequence[Sequence[str]], rows: Iterable[Sequence[str]], *, right: Sequence[bool]
) -> str:
    """A `booktabs` tabular of LaTeX texts; `heads` has its lines, `right` is as in Markdown."""
    shape = "".join("r" if flush else "l" for flush in right)
    head, body = ("".join(f"{' & '.join(row)} \\\\\n" for row in part) for part in (heads, rows))
    return (
        f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{head}\\midrule\n{body}"
        "\\bottomrule\n\\end{tabular}\n"
    )
