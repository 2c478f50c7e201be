"""Updates that a run times in several tables: alone, in the company of cohorts, of longer windows.

Each table takes its own turns. Where their medians lie apart, the surroundings of a case matter
more than the spread of its calls says, and a ratio's bounds have to hold what each table found.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bench.intervals import Timing

Report = dict[str, Any]
Row = dict[str, Any]

UPDATES: Final = "updates"
COHORTS: Final = "cohorts"
LENGTHS: Final = "lengths"


class Update(NamedTuple):
    """One trial's update by one trainer; ablate's `none` is that on its fastest path."""

    trainer: str
    shape: str
    precision: str
    strategy: str

    @classmethod
    def of(cls, row: Row) -> "Update":
        """The update that a row of a table timed."""
        return cls(row["trainer"], row["shape"], row["precision"], row["strategy"])

    def stock(self, precision: str | None = None) -> "Update":
        """The stock trainer's without dropout at this shape, in this precision or another."""
        return Update("stock", self.shape, precision or self.precision, "none")


Tables = Mapping[str, Timing]


def updates(report: Report) -> dict[Update, dict[str, Timing]]:
    """The timings of each update by the tables that have it, that of all strategies first."""
    found: dict[Update, dict[str, Timing]] = {}
    for row in report["updates"]:
        tables = found.setdefault(Update.of(row), {})
        if UPDATES not in tables or row["train"]["ms"] < tables[UPDATES]["ms"]:
            tables[UPDATES] = row["train"]
    for row in report["cohorts"]:
        if row["size"] == 1:
            _add(found, Update.of(row), COHORTS, row["train"])
        stock = Update.of(row).stock()
        _add(found, stock, COHORTS, _stock(row, found.get(stock, {})))
    for row in report["lengths"]:
        at = report["options"]["lengths"].index(1) if 1 in report["options"]["lengths"] else None
        if at is not None:
            update = Update("ablate", row["shape"], row["precision"], row["strategy"])
            _add(found, update, LENGTHS, row["train"][at])
    return found


def seen_from(table: str, tables: Tables) -> Tables:
    """The same timings, those of `table` first: its is the value that a ratio in it shows."""
    if table not in tables:
        return tables
    return {table: tables[table]} | dict(tables)


def part(timing: Timing, count: int) -> Timing:
    """The timing of one of `count` equal parts of the call."""
    scaled = {**timing, "ms": timing["ms"] / count}
    if "calls" in timing:
        scaled["calls"] = [ms / count for ms in timing["calls"]]
    return scaled


def _add(
    found: dict[Update, dict[str, Timing]], update: Update, table: str, timing: Timing | None
) -> None:
    if timing is not None:
        found.setdefault(update, {}).setdefault(table, timing)


def _stock(row: Row, known: Tables) -> Timing | None:
    """The stock trainer's timing among the cohorts; files without calls have its median alone."""
    if "stock" in row:
        return row["stock"]
    if UPDATES not in known:
        return None
    return {**known[UPDATES], "ms": row["faster_than_stock"] * row["ms_a_trial"]}
