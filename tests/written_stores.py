"""Stores that are written and never trained: plausible numbers for the tests of reports."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ablate.store import Row, Store
from ablate.store.files import read_table, write_table
from ablate.store.schema import ATTEMPT_TABLES, table_of
from ablate.strategies import get

EPOCHS = 8
FIRST = {"train_nll": 6.4, "valid_nll": 6.28}
NET = {"layers": 2, "hidden": 200, "embedding": None}
RECIPE = {
    "unroll": 20, "batch": 20, "learning_rate": 1.0, "epochs": EPOCHS, "hold": 5, "divide": 2.0,
    "clip": 5.0, "init": 0.1, "headline": "last", "train_eval_tokens": 100_000,
}  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A placement with the train and validation perplexity that its trials come out at."""

    strategy: str
    given: dict = field(default_factory=dict)
    train: float = 100.0
    valid: float = 220.0

    @property
    def label(self) -> str:
        strategy = get(self.strategy)
        words = [value for value in self.given.values() if value == "window"]
        value = strategy.dial_value(strategy.arguments(**self.given))
        dial = [] if value is None else [f"{value:g}".removeprefix("0")]
        return " ".join([self.strategy, *words, *dial])


QUICK = (
    Point("none", {}, 76, 262),
    Point("zaremba2014", {"rate": 0.25}, 94, 224),
    Point("zaremba2014", {"rate": 0.5}, 134, 216),
    Point("zaremba2014", {"rate": 0.75}, 231, 258),
    Point("locked", {"rate": 0.5}, 141, 219),
    Point("recurrent", {"sharing": "step", "rate": 0.25}, 90, 249),
    Point("recurrent", {"sharing": "step", "rate": 0.5}, 103, 247),
    Point("recurrent", {"sharing": "window", "rate": 0.25}, 88, 251),
    Point("naive", {"rate": 0.25}, 107, 217),
    Point("gal2016", {}, 160, 213),
    Point("semeniuta2016", {}, 152, 222),
    Point("moon2015", {}, 96, 246),
    Point("zoneout", {}, 149, 218),
    Point("merity2017", {}, 122, 212),
)


def write_study(
    results: Path,
    *,
    study: str = "placement",
    profile: str = "quick",
    points: tuple[Point, ...] = QUICK,
    seeds: int = 2,
    diverged: tuple[tuple[int, int], ...] = (),
    failed: tuple[tuple[int, int], ...] = (),
    pending: tuple[tuple[int, int], ...] = (),
    net: dict = NET,
    recipe: dict = RECIPE,
    precision: str = "fp32",
    baseline: str = "none",
    unasked: tuple[str, ...] = (),
    also: Row | None = None,
) -> Store:
    """Write a store; `diverged`, `failed` and `pending` name (point, seed) pairs.

    `unasked` are the labels that the study file does not ask for, `also` columns of each trial.
    """
    store = Store.of(results, study, profile)
    cells = []
    for seed in range(1, seeds + 1):
        for position, point in enumerate(points):
            cell, trial = trial_rows(point, seed, position, net, recipe, precision)
            cell |= {"baseline": point.label == baseline, "asked": point.label not in unasked}
            cells.append(cell)
            at = (position, seed)
            if at in pending:
                continue
            if at in failed:
                store.write_failure(trial | {"status": "failed", "error": "worker died (signal 9)"})
                continue
            curves = _curves(point, seed, lost=at in diverged)
            store.write(
                trial | _outcome(curves, recipe, lost=at in diverged) | (also or {}),
                curves,
                _tokens(seed),
            )
    store.write_cells(cells)
    return store


def rewrite(store: Store, table: str, key: str, change: Callable[[Row], Row]) -> None:
    """Change the rows of a trial's file as `change` says of each."""
    path, schema = store.folder / table / f"{key}-1.parquet", ATTEMPT_TABLES[table]
    rows = read_table(path, schema).to_pylist()
    write_table(table_of([row | change(row) for row in rows], schema), path)


def trial_rows(
    point: Point, seed: int, position: int, net: dict, recipe: dict, precision: str
) -> tuple[dict, dict]:
    """A point's rows of `cells` and, less its outcome, of `trials`."""
    strategy = get(point.strategy)
    arguments = strategy.arguments(**point.given)
    placement = strategy.place(**point.given).text
    shared = {
        "seed": seed,
        "precision": precision,
        "corpus": "ptb-tenth",
        "corpus_digest": "5f0c" * 16,
        "net": json.dumps(net),
        "recipe": json.dumps(recipe),
    }
    identity = json.dumps([placement, shared], sort_keys=True)
    key = hashlib.sha256(identity.encode()).hexdigest()[:20]
    cell = shared | {
        "key": key,
        "strategy": point.strategy,
        "arguments": json.dumps(arguments),
        "label": point.label,
        "dial": strategy.dial,
        "dial_value": strategy.dial_value(arguments),
        "position": position,
    }
    trial = shared | {
        "key": key,
        "pair_key": key,
        "attempt": 1,
        "placement": placement,
        "semantics": 1,
        "ablate_version": "0.1.0",
        "headline": recipe["headline"],
        "device": "cpu",
        "threads": 1,
        "cohort": 1,
        "path": "looped",
        "torch_version": "2.13.0",
        "python_version": "3.11.7",
        "platform": "Linux-6.1-x86_64",
        "cpu": "Example CPU @ 2.00GHz",
        "vocabulary": 6785,
        "parameters": 3_363_585,
        "started_at": f"2026-01-0{seed}T08:{position:02d}:00+00:00",
    }
    return cell, trial


def write_rows(
    store: Store,
    point: Point,
    trial: dict,
    seed: int,
    recipe: dict,
    *,
    status: str,
    valid: float | None,
) -> None:
    """Write a trial that ended as `status`; `valid` is its last perplexity where it is no matter of
    chance."""
    curves = _curves(point, seed, lost=status == "diverged")
    if valid is not None and status == "ok":
        curves[-1]["valid_nll"] = float(np.log(valid))
    if status == "pruned":
        curves = curves[:3]
        outcome = {"status": "pruned", "epochs": 3, "seconds": 20.0}
    else:
        outcome = _outcome(curves, recipe, lost=status == "diverged")
    store.write(trial | outcome, curves, _tokens(seed))


def _curves(point: Point, seed: int, *, lost: bool) -> list[dict]:
    words = [point.strategy, *map(str, point.given.values()), str(seed)]
    rng = np.random.default_rng(list(" ".join(words).encode()))
    shift = np.random.default_rng(seed).normal(0, 0.006)
    noise = rng.normal(0, 0.004, 2) + shift
    ends = np.log([point.train, point.valid]) + noise
    rows = []
    for epoch in range(1, EPOCHS + 1):
        left = (np.exp(-0.45 * (epoch - 1)) - np.exp(-0.45 * (EPOCHS - 1))) / (
            1 - np.exp(-0.45 * (EPOCHS - 1))
        )
        train = ends[0] + (FIRST["train_nll"] - ends[0]) * left
        turn = max(0.0, np.log(240 / point.train) - 0.3) * 0.05 * np.sin(np.pi * (epoch - 1) / 7)
        valid = ends[1] + (FIRST["valid_nll"] - ends[1]) * left**1.5 - turn
        if lost and epoch == 4:
            rows.append(_epoch(epoch, float("nan"), float("nan")))
            break
        rows.append(
            _epoch(
                epoch, train + (0.4 * epoch if lost else 0), valid + (0.5 * epoch if lost else 0)
            )
        )
    return rows


def _epoch(epoch: int, train: float, valid: float) -> dict:
    return {
        "epoch": epoch, "learning_rate": 1.0 / 2 ** max(0, epoch - 5), "running_nll": train + 0.1,
        "train_nll": train, "valid_nll": valid, "gradient_norm": 4.0, "tokens_per_second": 11_000.0,
        "seconds": 8.2,
    }  # fmt: skip


def _outcome(curves: list[dict], recipe: dict, *, lost: bool) -> dict:
    if lost:
        return {"status": "diverged", "epochs": len(curves), "seconds": 30.0}
    last = curves[-1]
    best = min(curves, key=lambda row: row["valid_nll"])
    out = {"status": "ok", "epochs": len(curves), "best_epoch": best["epoch"], "seconds": 66.0}
    for name, row in (("last", last), ("best", best)):
        out |= {
            f"train_nll_{name}": row["train_nll"],
            f"valid_nll_{name}": row["valid_nll"],
            f"test_nll_{name}": row["valid_nll"] - 0.035,
            f"gap_{name}": row["valid_nll"] - row["train_nll"],
        }
    return out | {
        "running_nll": last["running_nll"],
        "gap_running": last["valid_nll"] - last["running_nll"],
        "train_targets": 92_958,
        "valid_targets": 7_376,
        "test_targets": 8_243,
        "tokens_per_second": 11_000.0,
    }


def _tokens(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {split: -rng.exponential(5, 50).astype(np.float32) for split in ("valid", "test")}
