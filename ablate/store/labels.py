"""Sentences about labels: points that share one, and trials that one no longer names."""

import json
from collections.abc import Iterable
from typing import Final

from ablate.errors import AblateError
from ablate.facts import canonical_json
from ablate.store.store import Store
from ablate.strategies import get

_LISTED: Final = 3

#: By which a run asks for trials that the study file alone does not ask for.
OPTIONS: Final = "such as --seeds, --strategies, --set, --data or --plugin"


def completed(strategy: str, arguments: str) -> str:
    """A point's arguments, JSON, with those that its strategy did not have yet at their defaults.

    As they are where the strategy is of a plugin that is not loaded, or takes them no more.
    """
    given = json.loads(arguments)
    try:
        known = get(strategy)
        own = {name: value for name, value in given.items() if name in known.parameters}
        return canonical_json(given | known.arguments(**own))
    except AblateError:
        return arguments


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


def unnamed(store: Store) -> str | None:
    """Name in a sentence the finished trials that no name leads to; None for none."""
    rows = store.unnamed()
    if not rows:
        return None
    listed = _listed(f"{_edges(row['placement'])}, seed {row['seed']}" for row in rows)
    return (
        f"finished trials without a name, which stand in no table: {len(rows)} ({listed}); a run "
        f"with the options that asked for them ({OPTIONS}) names them again and trains none of them"
    )


def _edges(placement: str) -> str:
    """`INPUT | OUTPUT`: a placement's text without what stands in brackets."""
    return " | ".join(part.split("(")[0] for part in placement.split(" | "))


def _listed(labels: Iterable[str]) -> str:
    distinct = [f"'{label}'" for label in dict.fromkeys(labels)]
    more = len(distinct) - _LISTED
    return ", ".join(distinct[:_LISTED]) + (f" and {more} more" if more > 0 else "")
