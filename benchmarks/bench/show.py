"""A bench's machine and tables as text, for the terminal and in Markdown."""

import textwrap
from typing import Final

from ablate.tables import markdown_table, plain_table, printed
from bench.cells import size
from bench.tables import Report, Table, tables

_WIDTH: Final = 100


def markdown(report: Report) -> str:
    """The machine and every table."""
    blocks = [machine(report)]
    for table in tables(report):
        # Words to the left, numbers to the right.
        shown = markdown_table(table.columns, table.rows, right=_numeric(table))
        blocks += [f"**{table.title}.** {table.note}".strip(), shown.rstrip()]
    return "\n\n".join(blocks)


def text(report: Report) -> str:
    """The same for a terminal; tables are never cut, whatever its width."""
    blocks = [_wrapped(line) for line in machine(report).splitlines()]
    for table in tables(report):
        shown = plain_table()
        for column, right in zip(table.columns, _numeric(table), strict=True):
            shown.add_column(column, justify="right" if right else "left", no_wrap=True)
        for row in table.rows:
            shown.add_row(*row)
        blocks += ["", _wrapped(f"{table.title}. {table.note}"), "", printed(shown)]
    return "\n".join(blocks)


def machine(report: Report) -> str:
    """The machine, the versions and the command in a few sentences."""
    of, options = report["machine"], report["options"]
    memory = f", {size(of['memory_bytes'])} of memory" if of["memory_bytes"] else ""
    cache = f", last cache {size(of['last_cache_bytes'])}" if of["last_cache_bytes"] else ""
    flags = f" ({', '.join(of['flags'])})" if of["flags"] else ""
    device = "" if of["device"] == "cpu" else f", {of['device']}"
    lines = [
        f"{of['cpu']}{flags}, {of['cores']} cores, {of['threads']} threads{memory}{cache}{device}.",
        f"{of['platform']} {of['release']}, Python {of['python_version']}, torch "
        f"{of['torch_version']}, ablate {of['ablate_version']}"
        + (f" at {of['commit']}" if of["commit"] else "")
        + f"; {of['date']}, {report['seconds'] / 60:.1f} minutes.",
        f"Medians of {options['repeat']} calls after {options['warm']}, the cases in turns; "
        "± is the width of the middle half of them.",
        _bounds(report),
    ]
    if "first_seconds" in report:
        lines.append(
            f"First calls took {report['first_seconds']:.0f} s more than later ones: they compile "
            "kernels, or load those that an earlier run compiled."
        )
    if "tf32_products" in of:
        on = [name for name in ("products", "cudnn") if of[f"tf32_{name}"]]
        lines.append(f"TF32 is {'on for ' + ' and '.join(on) if on else 'off'}.")
    if not of["compiled"]:
        lines.append("Kernels run eagerly: nothing was compiled.")
    if of["command"]:
        lines.append(f"Command: {of['command']}")
    return "\n".join(lines)


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _WIDTH)


def _numeric(table: Table) -> list[bool]:
    return [all(_is_number(row[at]) for row in table.rows) for at in range(len(table.columns))]


def _is_number(text: str) -> bool:
    return set(text.replace(" to ", " ")) <= set("0123456789.,-()%± ")


def _bounds(report: Report) -> str:
    """How a ratio's bounds come about, and when they stand alone."""
    if report["options"]["repeat"] < 2:
        return "One call has no spread: no ratio is shown."
    rows = [*report.get("parts", []), *(row["train"] for row in report.get("updates", []))]
    if all("calls" in timing for timing in rows):
        bounds = "A ratio is the median over the rounds, with its 95 % interval in brackets"
    else:
        bounds = (
            "A ratio is that of two medians, and in brackets is what it may be where each is off "
            "by twice its ± (this file has no single calls)"
        )
    return f"{bounds}; where that holds 1, the bounds stand alone."
