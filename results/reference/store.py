"""Keep a store's tables, or write the store again that they came from; without single tokens.

    cd results/reference
    python store.py keep ../placement/tenth placement-tenth
    python store.py write placement-tenth placement tenth ..

Each table is one file in `tables` of the folder. After `write`, `ablate report --study placement`
makes page, tables and figures of them again.
"""

import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ablate.store import Row, Store
from ablate.store.about import About
from ablate.study.file import find_study


def keep(store: Path, folder: Path) -> Path:
    """Put the tables of a store, and its report, below `folder`."""
    found, tables = Store(store), folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("trials", found.trials()),
        ("epochs", found.epochs()),
        ("cells", found.cells()),
    ):
        pq.write_table(table, tables / f"{name}.parquet", compression="zstd")
    shutil.copytree(store / "report", folder, dirs_exist_ok=True)
    return folder


def write(folder: Path, study: str, profile: str, results: Path) -> Path:
    """Write a profile of a study below `results`; return where."""
    found, path = find_study(study)
    store = Store.of(results, found.name, profile)
    store.write_about(About.of(path, found.question, shipped=True))
    store.write_cells(_rows(folder, "cells"))
    epochs = _rows(folder, "epochs")
    for trial in _rows(folder, "trials"):
        curve = [row for row in epochs if row["key"] == trial["key"]]
        store.write(trial, curve, tokens={})
    return store.folder


def _rows(folder: Path, table: str) -> list[Row]:
    """The rows of a table, without what pandas put into the place of an empty value."""
    rows: list[Row] = pa.Table.to_pylist(pq.read_table(folder / "tables" / f"{table}.parquet"))
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    return None if value != value else value


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", store, folder]:
            print(keep(Path(store), Path(folder)))
        case ["write", folder, study, profile, results]:
            print(write(Path(folder), study, profile, Path(results)))
        case _:
            sys.exit(__doc__)
