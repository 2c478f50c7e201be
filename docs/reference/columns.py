"""The columns of the store: types from the schema, meanings from the store's design note."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa

from ablate.store import schema
from reference.markdown import code, table

HEAD = """# Columns of the store

A study's results are Parquet tables below `results/<study>/<profile>/`. nll is a negative
log-likelihood in nats per target, by the deterministic evaluation (dropout off) unless said
otherwise. `_last` and `_best` are the last epoch and that of the lowest valid nll. A cell may be
empty where the type says so. A column that version 1 of the schema did not have says which one
brought it. [The store](../../ablate/store/README.md) says why the files look as they do.
"""
NOTE = Path(__file__).parents[2] / "ablate" / "store" / "README.md"
TABLES = {**schema.ATTEMPT_TABLES, "cells": schema.CELLS}


def page() -> str:
    """The page."""
    parts = [HEAD]
    for name in ("trials", "epochs", "tokens", "cells"):
        rows = [
            (code(field.name), _kind(TABLES[name], field), meaning(name, field.name))
            for field in TABLES[name]
        ]
        parts += [f"## {name}\n", table(("column", "type", "meaning"), rows)]
    return "\n".join(parts)


def meaning(of: str, column: str) -> str:
    """What the store's design note says of a column of a table; empty if it says nothing."""
    for where, patterns, words in _stated():
        if where in (of, "all") and any(fnmatchcase(column, each) for each in patterns):
            return words
    return ""


def _stated() -> Iterator[tuple[str, list[str], str]]:
    text = NOTE.read_text(encoding="utf-8").partition("| table | column | meaning |")[2]
    where = ""
    for row in re.findall(r"^\| *(.*?) *\| *(.*?) *\| *(.*?) *\|$", text, re.MULTILINE)[1:]:
        where = row[0].strip("`") or where
        yield where, re.findall(r"`([^`]*)`", row[1]), row[2]


def _kind(columns: pa.Schema, field: pa.Field) -> str:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    versions = range(1, schema.VERSION + 1)
    since = next(v for v in versions if field.name in schema.as_of(columns, v).names)
    empty = ", may be empty" if field.nullable else ""
    return f"{kind}{empty}" + (f", since version {since}" if since > 1 else "")
