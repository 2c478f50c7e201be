"""Docstrings for `--help` and `strategies`, also under `python -OO`, which strips them."""

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable


@functools.cache
def docstring(function: Callable[..., object]) -> str | None:
    """The docstring of a function, "" if it has none, None if it was stripped without a source.

    Under -OO it is read from the source.
    """
    kept = inspect.getdoc(function)
    if kept is not None or sys.flags.optimize < 2:
        return kept or ""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    (node,) = tree.body
    return ast.get_docstring(node) or "" if isinstance(node, ast.FunctionDef) else None
