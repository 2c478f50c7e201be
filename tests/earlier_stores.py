"""Stores as an earlier ablate wrote them."""

from pathlib import Path

import pyarrow.parquet as pq


def make_first_version(folder: Path) -> None:
    """Write each file of the store in `folder` again, without what later ones brought."""
    later = {"plugin", "text", "asked", "arithmetic", "stage", "search", "number", "sampler"}
    for path in folder.rglob("*.parquet"):
        table = pq.read_table(path)
        metadata = {**table.schema.metadata, b"ablate.schema": b"1"}
        columns = [name for name in table.column_names if name not in later and "known" not in name]
        table = table.select(columns).replace_schema_metadata(metadata)
        pq.write_table(table, path, write_page_checksum=True)
