"""Rows for the tests of the store: a trial, and a name under which one is known."""

from typing import Any

_SHARED = {
    "seed": 3,
    "precision": "fp32",
    "corpus": "toy",
    "corpus_digest": "d1",
    "net": "{}",
    "recipe": "{}",
}


def trial_row(key: str = "a1", **changes: Any) -> dict[str, Any]:
    """A committed row of `trials`."""
    own = {"key": key, "pair_key": "p1", "attempt": 1, "status": "ok", "placement": "none"}
    return (
        own
        | _SHARED
        | {"semantics": 1, "ablate_version": "0.1.0"}
        | {"valid_nll_last": 4.25}
        | changes
    )


def name_row(key: str = "a1", **changes: Any) -> dict[str, Any]:
    """A row of `cells`."""
    own = {"key": key, "strategy": "none", "arguments": "{}", "label": "none"}
    return own | _SHARED | {"position": 0, "baseline": True} | changes
