"""What was measured, in plain Parquet: the source of truth of every study."""

from ablate.store.labels import OPTIONS, left_out, unnamed
from ablate.store.store import Aside, Row, Store

__all__ = ["OPTIONS", "Aside", "Row", "Store", "left_out", "unnamed"]
