"""Combinations of designs whose numbers are known: nothing is trained, and nothing stored."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from written_stores import NET, RECIPE

from ablate.cells import LSTM
from ablate.edges import Edge
from ablate.facts import canonical_json
from ablate.report.combination import Combination
from ablate.study.points import Point

#: What a run of one seed comes out at: the edges that drop, the seed -> validation nll, gap (nats).
Outcome = Callable[[Edge, int], tuple[float, float]]


def factorial_part(
    runs: Iterable[Edge],
    outcome: Outcome,
    *,
    seeds: Iterable[int] = (1, 2, 3),
    status: Mapping[tuple[Edge, int], str] | None = None,
    pending: Iterable[tuple[Edge, int]] = (),
) -> Combination:
    """A two-level design: each run with each seed, "ok" unless `status` has it otherwise."""
    rows = []
    for position, on in enumerate(runs):
        facts = {edge.label.lower(): "window" if edge is Edge.WEIGHT else "step" for edge in on}
        for seed in seeds:
            numbers = dict(zip(("valid_nll", "gap"), outcome(on, seed), strict=True))
            told = (status or {}).get((on, seed), "ok")
            given = {"stage": "factorial", "status": told, **numbers}
            rows.append(row("free", facts, seed, position, given) | {"run": on})
    return part(rows, [(on, seed) for on, seed in pending])


def row(strategy: str, facts: dict, seed: int, position: int, given: dict) -> dict[str, Any]:
    """A row of a frame of trials; a diverged one has no numbers."""
    point = Point.of(strategy, facts)
    placement = point.place(LSTM).text
    own = {
        "key": hashlib.sha256(f"{placement} {seed} {point.nuisances}".encode()).hexdigest()[:20],
        "strategy": strategy,
        "arguments": canonical_json(point.facts),
        "label": point.label,
        "dial": point.strategy.dial,
        "dial_value": point.dial_value,
        "position": position,
        "placement": placement,
        "baseline": False,
        "asked": True,
        "stage": None,
        "seed": seed,
        "status": "ok",
        "corpus": "ptb-tenth",
        "corpus_digest": "5f0c" * 16,
        "text": None,
        "precision": "fp32",
        "net": json.dumps(NET),
        "recipe": json.dumps(RECIPE),
        "started_at": "2026-01-01T08:00:00+00:00",
        **{f"{split}_targets": 7_376 for split in ("valid", "test")},
        **{f"{split}_unknown": 0 for split in ("valid", "test")},
    } | given
    if own["status"] != "ok":
        own |= {"valid_nll": np.nan, "gap": np.nan}
    return own | {"valid_ppl": float(np.exp(own["valid_nll"]))}


def part(rows: list[dict], pending: list[tuple[Edge, int]] | None = None) -> Combination:
    """A combination of these rows; those of `pending` (run, seed) have not run yet."""
    frame = pd.DataFrame(rows)
    if "run" in frame:
        waits = [(on, seed) in (pending or []) for on, seed in frame[["run", "seed"]].values]
        frame = frame.drop(columns="run")
    else:
        waits = [False] * len(frame)
    cells = frame.drop(columns=["status", "valid_nll", "gap", "valid_ppl", "started_at"])
    trials = frame[~np.array(waits)].reset_index(drop=True)
    return Combination(trials, pd.DataFrame({"key": []}), cells, "ptb-tenth, fp32")


def full(edges: Iterable[Edge]) -> list[Edge]:
    """Every subset of the edges, the empty one first."""
    edges, runs = list(edges), []
    for count in range(len(edges) + 1):
        for chosen in itertools.combinations(edges, count):
            union = Edge(0)
            for edge in chosen:
                union |= edge
            runs.append(union)
    return runs


def planted(mean: float, effects: Mapping[Edge, float], seed_shift: float = 0.02) -> Outcome:
    """nll = mean + seed + half of each effect times its sign, a pair's the product of two signs.

    The gap has twice each effect of the loss with the other sign.
    """

    def outcome(on: Edge, seed: int) -> tuple[float, float]:
        changes = [
            effect / 2 * float(np.prod([1 if edge in on else -1 for edge in term]))
            for term, effect in effects.items()
        ]
        return mean + seed_shift * seed + sum(changes), 1.0 + seed * 0.01 - 2 * sum(changes)

    return outcome
