"""What is said of trials whose name has another placement by now."""

from collections.abc import Iterable
from typing import Final

from ablate.store.store import Store

_NAMED: Final = 3


def left_out(store: Store) -> str | None:
    """One sentence: how many trials of earlier versions of what are in no table; None for none."""
    earlier = store.earlier().to_pylist()
    if not earlier:
        return None
    committed = store.committed()
    # A trial may have lost its arguments and kept its label.
    shown = {(row["key"], row["label"]) for row in store.cells().to_pylist()}
    ended = [r for r in earlier if r["key"] in committed and (r["key"], r["label"]) not in shown]
    count = len({row["key"] for row in ended})
    if not count:
        return None
    trials, rest = ("trials", "are left out; the store keeps them")
    if count == 1:
        trials, rest = ("trial", "is left out; the store keeps it")
    labels = _listed(row["label"] for row in ended)
    return f"{count} {trials} of an earlier version of {labels} {rest}"


def _listed(labels: Iterable[str]) -> str:
    distinct = [f"'{label}'" for label in dict.fromkeys(labels)]
    more = len(distinct) - _NAMED
    return ", ".join(distinct[:_NAMED]) + (f" and {more} more" if more > 0 else "")
