"""Keep a store's tables, or write the store again that they came from.

    cd results/reference
    python store.py keep ../placement/tenth placement-tenth
    python store.py write placement-tenth placement tenth ..

Each table is one file in `tables` of the folder. After `write`, `ablate report` makes page, tables
and figures of them again, and `ablate run` trains what the store lacks. The log-probabilities of
single tokens, from which ensembles are computed, are kept by `keep --tokens`, in half precision.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ablate.store import Row, Store
from ablate.store.about import About
from ablate.study.file import find_study

#: In the order of the text. Half precision rounds 5 nats by at most 2^-9: over the 82,430 tokens of
#: the Penn Treebank's test text this changes a perplexity by about one part in 100,000.
_TOKENS = pa.schema(
    {
        "key": pa.dictionary(pa.int32(), pa.string()),
        "split": pa.dictionary(pa.int32(), pa.string()),
        "log_prob": pa.float16(),
    }
)


def keep(store: Path, folder: Path, *, tokens: bool = False) -> Path:
    """Put the tables of a store, and its report, below `folder`."""
    found, tables = Store(store), folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("trials", found.trials()),
        ("epochs", found.epochs()),
        ("cells", found.cells()),
    ):
        pq.write_table(table, tables / f"{name}.parquet", compression="zstd")
    if tokens:
        frame = found.tokens().to_pandas().sort_values(["key", "split", "position"])
        frame["log_prob"] = frame["log_prob"].astype(np.float16)
        pq.write_table(
            pa.Table.from_pandas(frame, _TOKENS, preserve_index=False),
            tables / "tokens.parquet",
            compression="zstd",
            use_dictionary=["key", "split"],
            column_encoding={"log_prob": "BYTE_STREAM_SPLIT"},
        )
    shutil.copytree(store / "report", folder, dirs_exist_ok=True)
    return folder


def write(folder: Path, study: str, profile: str, results: Path) -> Path:
    """Write a profile of a study below `results`; return where."""
    found, path = find_study(study)
    store = Store.of(results, found.name, profile)
    store.write_about(About.of(path, found.question))
    store.write_cells(_rows(folder, "cells"))
    epochs, tokens = _rows(folder, "epochs"), _tokens(folder)
    for trial in _rows(folder, "trials"):
        curve = [row for row in epochs if row["key"] == trial["key"]]
        store.write(trial, curve, tokens=tokens.get(trial["key"], {}))
    return store.folder


def _rows(folder: Path, table: str) -> list[Row]:
    """The rows of a table, without what pandas put into the place of an empty value."""
    rows: list[Row] = pa.Table.to_pylist(pq.read_table(folder / "tables" / f"{table}.parquet"))
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _tokens(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Of each trial of which they were kept, by split, the log-probabilities of its tokens."""
    path = folder / "tables/tokens.parquet"
    found: dict[str, dict[str, np.ndarray]] = {}
    if path.exists():
        frame = pq.read_table(path, schema=_TOKENS).to_pandas()
        for (key, split), own in frame.groupby(["key", "split"], observed=True, sort=False):
            found.setdefault(str(key), {})[str(split)] = own["log_prob"].to_numpy(np.float32)
    return found


def _plain(value: object) -> object:
    return None if value != value else value


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", *options, store, folder] if options in ([], ["--tokens"]):
            print(keep(Path(store), Path(folder), tokens=bool(options)))
        case ["write", folder, study, profile, results]:
            print(write(Path(folder), study, profile, Path(results)))
        case _:
            sys.exit(__doc__)
