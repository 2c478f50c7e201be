"""Columns and rows as terminal text, Markdown and LaTeX.

The terminal's is rich's. Markdown and LaTeX are a line a row: tabulate and pandas pad what they
write, so that one longer name would change each line of a table that is kept under version control.
"""

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

# Wider than any table: a file is not broken where a terminal ends.
_NO_END = 1000


def plain_table(*headings: str) -> "Table":
    """A table without lines, for a terminal."""
    from rich.table import Table

    return Table(*headings, box=None, pad_edge=False, header_style="bold")


def printed(renderable: "RenderableType", width: int = _NO_END) -> str:
    """What rich makes of something, as text without colours and without spaces at line ends."""
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
    """A Markdown table of texts that are Markdown; `right` says which columns end flush."""
    rule = ["--:" if flush else ":--" for flush in right]
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, rule, *rows))


def latex_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[bool]
) -> str:
    """A tabular for the package `booktabs`, of texts that are LaTeX."""
    shape = "".join("r" if flush else "l" for flush in right)
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    return (
        f"\\begin{{tabular}}{{{shape}}}\n\\toprule\n{' & '.join(heads)} \\\\\n\\midrule\n"
        f"{body}\\bottomrule\n\\end{{tabular}}\n"
    )
