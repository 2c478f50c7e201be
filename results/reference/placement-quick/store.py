"""Write the store that `tables/` came from, without single tokens: `python store.py RESULTS`.

Then `ablate report --results RESULTS` makes page, tables and figures of it again.
"""

import sys
from pathlib import Path

import pyarrow.parquet as pq

from ablate.store import Row, Store
from ablate.store.about import About
from ablate.study.file import find_study

TABLES = Path(__file__).parent / "tables"


def write(results: Path) -> Store:
    """Write profile `quick` of `placement` below `results`; return its store."""
    study, path = find_study("placement")
    store = Store.of(results, study.name, "quick")
    store.write_about(About.of(path, study.question, shipped=True))
    store.write_cells(_rows("cells"))
    epochs = _rows("epochs")
    for trial in _rows("trials"):
        curve = [row for row in epochs if row["key"] == trial["key"]]
        store.write(trial, curve, tokens={})
    return store


def _rows(table: str) -> list[Row]:
    """The rows of a table, without what pandas put into the place of an empty value."""
    rows = pq.read_table(TABLES / f"{table}.parquet").to_pylist()
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: object) -> object:
    return None if value != value else value


if __name__ == "__main__":
    print(write(Path(sys.argv[1])).folder)
