"""Markdown of tables and of docstrings."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

# Between backticks nothing is escaped, nor in lines that are indented: examples.
_NOT_CODE = re.compile(r"(?:^(?! {4})|(?<=`))[^`\n]*(?=`|$)", re.MULTILINE)

# Lines of a docstring that begin with a label stay lines.
_LABELLED = re.compile(r"(?<!\n)\n(?=(?:Source|Not here|Evaluation|Default|Raises)\b)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar or a line's end within a cell does not end the cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_in_cell, line)) + " |" for line in lines) + "\n"


def code(text: Any) -> str:
    """Code within a line; empty for an empty text."""
    return f"`{text}`" if str(text) else ""


def prose(documented: Any) -> str:
    """The docstring of an object, or a docstring, as Markdown."""
    text = documented if isinstance(documented, str) else inspect.getdoc(documented) or ""
    text = _LABELLED.sub("  \n", text)
    return _NOT_CODE.sub(lambda found: found[0].replace("<", "&lt;"), text)


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
