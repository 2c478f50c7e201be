"""What was measured, in plain Parquet: the source of truth of every study."""

from ablate.store.labels import left_out
from ablate.store.store import Row, Store

__all__ = ["Row", "Store", "left_out"]
