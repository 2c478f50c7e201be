"""A stand-in for training: instant, deterministic, with checkpoints, and it can die on request."""

import json
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablate.errors import AblateError
from ablate.study.events import Assignment, EpochDone, Finished, Paused, Row, Slot


@dataclass(frozen=True)
class Fake:
    """Trains nothing. Behaviours are chosen by the trials' seeds; `pause` is seconds an epoch."""

    pause: float = 0.0
    dies_once: tuple[int, ...] = ()
    dies_always: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    says: str = "out of memory"
    refuses: tuple[int, ...] = ()
    diverges: tuple[int, ...] = ()
    warns: tuple[int, ...] = ()
    # Whether losses depend on what a search draws, too.
    rates: bool = False

    # Only where others are trained beside them:
    raises_crowded: tuple[int, ...] = ()
    dies_crowded: tuple[int, ...] = ()

    def __call__(
        self, assignments: Sequence[Assignment], slot: Slot, emit: Callable[[Any], None]
    ) -> None:
        held = [self._open(assignment) for assignment in assignments]
        while held:
            time.sleep(self.pause)
            crowd = len(held)
            for place in list(held):
                place.crowd = max(place.crowd, crowd)
                ended = self._advance(place, slot, crowd, emit)
                if ended is not None:
                    held.remove(place)
                    emit(ended)

    def _open(self, assignment: Assignment) -> "_Place":
        assignment.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = assignment.folder / "checkpoint.json"
        rows = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
        if assignment.trial.seed in self.warns:
            warnings.warn("no compiler was found", RuntimeWarning, stacklevel=1)
        return _Place(assignment, checkpoint, rows)

    def _advance(
        self, place: "_Place", slot: Slot, crowd: int, emit: Callable[[Any], None]
    ) -> Finished | Paused | None:
        """One epoch; return the end of the assignment if that was its last."""
        assignment, rows, seed = place.assignment, place.rows, place.assignment.trial.seed
        if assignment.until is not None and len(rows) >= assignment.until:
            return Paused(assignment, _trial(place, slot), rows)
        if len(rows) < assignment.trial.recipe.epochs:
            rows.append(_epoch(assignment.trial, len(rows) + 1, rates=self.rates))
            _write(place.checkpoint, rows)
            emit(EpochDone(assignment, rows[-1]))
            crowded = crowd > 1
            once = seed in self.dies_once and len(rows) == 1
            if seed in self.dies_always or once or (seed in self.dies_crowded and crowded):
                os.kill(os.getpid(), signal.SIGKILL)
            if seed in self.raises or (seed in self.raises_crowded and crowded):
                raise RuntimeError(self.says)
            if seed in self.refuses:
                raise AblateError("the text is too short")
            if seed in self.diverges:
                return Finished(assignment, "diverged", _trial(place, slot), rows, {})
        if assignment.until is not None and len(rows) >= assignment.until:
            return Paused(assignment, _trial(place, slot), rows)
        if len(rows) < assignment.trial.recipe.epochs:
            return None
        draws = np.random.default_rng(seed).random(7, dtype=np.float32)
        return Finished(assignment, "ok", _trial(place, slot), rows, {"valid": -draws})


@dataclass
class _Place:
    """An assignment at work and the most places that it shared."""

    assignment: Assignment
    checkpoint: Path
    rows: list[Row]
    crowd: int = 1


def slot_environment(
    assignments: Sequence[Assignment], slot: Slot, emit: Callable[[Any], None]
) -> None:
    """Report what this worker's process was given, as the columns of its trials."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
    seen = {name: os.environ.get(name) for name in names}
    seen |= {"process": os.getpid(), "device": slot.device}
    for assignment in assignments:
        emit(Finished(assignment, "ok", seen, [], {}))


def _epoch(trial: Any, epoch: int, *, rates: bool = False) -> Row:
    nll = 5.0 + trial.seed / 100 - epoch / 10
    if rates:
        drops = trial.placement.values()
        nll += sum((drop.rate - 0.3) ** 2 for drop in drops) / max(1, len(drops))
        nll += (trial.recipe.learning_rate - 1.1) ** 2 / 10
    return {"epoch": epoch, "valid_nll": nll, "train_nll": nll - 0.5, "seconds": 1.0}


def _trial(place: _Place, slot: Slot) -> Row:
    rows, whole = place.rows, len(place.rows) == place.assignment.trial.recipe.epochs
    measured = {"valid_nll_last": rows[-1]["valid_nll"]} if whole else {}
    known = {"headline": "last", "epochs": len(rows), "device": slot.device}
    return known | {"cohort": place.crowd} | measured


def _write(path: Path, rows: list[Row]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(rows))
    temporary.replace(path)
