"""Sentences about labels: points that share one, and trials that one no longer names."""

import json
from collections.abc import Iterable
from typing import Final

from ablate.store.store import Store

_LISTED: Final = 3


def spelled(label: str, arguments: str) -> str:
    """`single (edge=INPUT, rate=0.5)`: a label with the point's arguments, which are JSON."""
    given = ", ".join(f"{name}={value}" for name, value in json.loads(arguments).items())
    return f"{label} ({given})"


def left_out(store: Store) -> str | None:
    """Count in a sentence the trials left out because their strategy changed since; None for none.

    Their names have another placement by now.
    """
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
    more = len(distinct) - _LISTED
    return ", ".join(distinct[:_LISTED]) + (f" and {more} more" if more > 0 else "")
