"""The columns of the store, explicit and with a version: what every file in it must look like.

nll: negative log-likelihood in nats per target. A column that is not nullable is known before a
trial starts. Of the others the row of an attempt that failed has `error`, and what was known
without training, such as `plugin`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from ablate.errors import printable

VERSION: Final = 5


_VERSION_FIELD: Final = b"ablate.schema"
_TABLE_FIELD: Final = b"ablate.table"

# One word in 150,000 rows: kept once a file, as a number a row.
_WORD: Final = pa.dictionary(pa.int32(), pa.string())


_Kinds = Mapping[str, pa.DataType]


def _schema(table: str, known: _Kinds, later: _Kinds) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in known.items()]
    fields += [pa.field(name, kind) for name, kind in later.items()]
    return pa.schema(fields, metadata=_metadata(table, VERSION))


def _metadata(table: str, version: int) -> dict[bytes, bytes]:
    return {_TABLE_FIELD: table.encode(), _VERSION_FIELD: str(version).encode()}


TRIALS: Final = _schema(
    "trials",
    {
        "key": pa.string(),
        "pair_key": pa.string(),
        "attempt": pa.int32(),
        "status": pa.string(),
        "placement": pa.string(),
        "seed": pa.int64(),
        "precision": pa.string(),
        "corpus": pa.string(),
        "corpus_digest": pa.string(),
        "net": pa.string(),
        "recipe": pa.string(),
        "semantics": pa.int32(),
        "ablate_version": pa.string(),
    },
    {
        "train_nll_last": pa.float64(),
        "valid_nll_last": pa.float64(),
        "test_nll_last": pa.float64(),
        "train_nll_best": pa.float64(),
        "valid_nll_best": pa.float64(),
        "test_nll_best": pa.float64(),
        "running_nll": pa.float64(),
        "headline": pa.string(),
        "best_epoch": pa.int32(),
        "epochs": pa.int32(),
        "train_targets": pa.int64(),
        "valid_targets": pa.int64(),
        "test_targets": pa.int64(),
        "gap_last": pa.float64(),
        "gap_best": pa.float64(),
        "gap_running": pa.float64(),
        "parameters": pa.int64(),
        "vocabulary": pa.int64(),
        "tokens_per_second": pa.float64(),
        "seconds": pa.float64(),
        "device": pa.string(),
        "threads": pa.int32(),
        "cohort": pa.int32(),
        "path": pa.string(),
        "torch_version": pa.string(),
        "python_version": pa.string(),
        "platform": pa.string(),
        "cpu": pa.string(),
        "started_at": pa.string(),
        "error": pa.string(),
        "plugin": pa.string(),
        "text": pa.string(),
        "train_unknown": pa.int64(),
        "valid_unknown": pa.int64(),
        "test_unknown": pa.int64(),
        "valid_known_nll_last": pa.float64(),
        "test_known_nll_last": pa.float64(),
        "valid_known_nll_best": pa.float64(),
        "test_known_nll_best": pa.float64(),
        "arithmetic": pa.string(),
    },
)

EPOCHS: Final = _schema(
    "epochs",
    {"key": pa.string(), "attempt": pa.int32(), "epoch": pa.int32()},
    {
        "learning_rate": pa.float64(),
        "running_nll": pa.float64(),
        "train_nll": pa.float64(),
        "valid_nll": pa.float64(),
        "gradient_norm": pa.float64(),
        "tokens_per_second": pa.float64(),
        "seconds": pa.float64(),
    },
)

TOKENS: Final = _schema(
    "tokens",
    {
        "key": _WORD,
        "attempt": pa.int32(),
        "split": _WORD,
        "position": pa.int32(),
        "log_prob": pa.float32(),
    },
    {},
)

CELLS: Final = _schema(
    "cells",
    {
        "key": pa.string(),
        "strategy": pa.string(),
        "arguments": pa.string(),
        "label": pa.string(),
        "position": pa.int32(),
        "baseline": pa.bool_(),
        "seed": pa.int64(),
        "corpus": pa.string(),
        "corpus_digest": pa.string(),
        "net": pa.string(),
        "recipe": pa.string(),
        "precision": pa.string(),
    },
    {
        "dial": pa.string(),
        "dial_value": pa.float64(),
        "text": pa.string(),
        "asked": pa.bool_(),
        "stage": pa.string(),
        "search": pa.string(),
        "number": pa.int32(),
        "sampler": pa.string(),
    },
)

# The columns, each of them nullable, that each version brought.
_ADDED: Final[dict[int, dict[str, tuple[str, ...]]]] = {
    2: {"trials": ("plugin",)},
    3: {
        "trials": (
            "text",
            *(f"{split}_unknown" for split in ("train", "valid", "test")),
            *(f"{split}_known_nll_{at}" for at in ("last", "best") for split in ("valid", "test")),
        ),
        "cells": ("text", "asked"),
    },
    4: {"trials": ("arithmetic",)},
    5: {"cells": ("stage", "search", "number", "sampler")},
}

# In the order in which an attempt writes them: the row in `trials`, the last, is the commit.
ATTEMPT_TABLES: Final = {"tokens": TOKENS, "epochs": EPOCHS, "trials": TRIALS}


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return the rows as a table of this schema; a column it does not have is a ValueError.

    Text is kept as `printable` writes it: Arrow has no other.
    """
    rows = [
        {name: printable(value) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]
    unknown = sorted({name for row in rows for name in row} - set(schema.names))
    if unknown:
        raise ValueError(f"table {name_of(schema)!r} has no column {', '.join(unknown)}")
    return pa.Table.from_pylist(rows, schema=schema)


def as_of(schema: pa.Schema, version: int) -> pa.Schema:
    """What the table of `schema` looked like in an earlier version of the store."""
    table = name_of(schema)
    later = {
        name for raised in range(version + 1, VERSION + 1) for name in _ADDED[raised].get(table, ())
    }
    known = [field for field in schema if field.name not in later]
    return pa.schema(known, metadata=_metadata(table, version))


def brought_up(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """A table of an earlier version in today's `schema`: what it lacks is empty."""
    if table.schema.equals(schema, check_metadata=True):
        return table
    columns = [
        table.column(field.name)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def name_of(schema: pa.Schema) -> str:
    """The table's name, as written into each of its files."""
    return (schema.metadata or {}).get(_TABLE_FIELD, b"").decode()


def version_of(schema: pa.Schema) -> int | None:
    """The version that a file was written with; None where it states none."""
    stated = (schema.metadata or {}).get(_VERSION_FIELD, b"")
    return int(stated) if stated.isdigit() else None
