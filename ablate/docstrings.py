"""What `--help` and `strategies` show are docstrings, which `python -OO` takes out of a program."""

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable


@functools.cache
def docstring(function: Callable[..., object]) -> str | None:
    """The docstring of a function, "" where it has none, None where nothing can tell any more.

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
