"""A stand-in for training: instant, deterministic, with a checkpoint, and it can die on request."""

import json
import os
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ablate.errors import AblateError
from ablate.study.events import Finished, Row, Slot, Task


@dataclass(frozen=True)
class Fake:
    """Trains nothing. Behaviours are chosen by the cell's seed; `pause` is seconds an epoch."""

    pause: float = 0.0
    dies_once: tuple[int, ...] = ()
    dies_always: tuple[int, ...] = ()
    raises: tuple[int, ...] = ()
    refuses: tuple[int, ...] = ()
    diverges: tuple[int, ...] = ()
    warns: tuple[int, ...] = ()

    def __call__(self, task: Task, slot: Slot, on_epoch: Callable[[Row], None]) -> Finished:
        cell = task.cell
        task.folder.mkdir(parents=True, exist_ok=True)
        checkpoint = task.folder / "checkpoint.json"
        rows = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
        if cell.seed in self.warns:
            warnings.warn("no compiler was found", RuntimeWarning, stacklevel=1)
        while len(rows) < cell.recipe.epochs:
            time.sleep(self.pause)
            rows.append(_epoch(cell, len(rows) + 1))
            _write(checkpoint, rows)
            on_epoch(rows[-1])
            resumed = len(rows) > 1
            if cell.seed in self.dies_always or (cell.seed in self.dies_once and not resumed):
                os.kill(os.getpid(), signal.SIGKILL)
            if cell.seed in self.raises:
                raise RuntimeError("out of memory")
            if cell.seed in self.refuses:
                raise AblateError("the text is too short")
            if cell.seed in self.diverges:
                return Finished(task, "diverged", _trial(cell, slot, rows), rows, {})
        draws = np.random.default_rng(cell.seed).random(7, dtype=np.float32)
        return Finished(task, "ok", _trial(cell, slot, rows), rows, {"valid": -draws})


def slot_environment(task: Task, slot: Slot, on_epoch: Callable[[Row], None]) -> Finished:
    """Report what this worker's process was given, as the columns of its trial."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS")
    seen = {name: os.environ.get(name) for name in names}
    seen |= {"process": os.getpid(), "device": slot.device}
    return Finished(task, "ok", seen, [], {})


def _epoch(cell: Any, epoch: int) -> Row:
    nll = 5.0 + cell.seed / 100 - epoch / 10
    return {"epoch": epoch, "valid_nll": nll, "train_nll": nll - 0.5, "seconds": 1.0}


def _trial(cell: Any, slot: Slot, rows: list[Row]) -> Row:
    measured = {} if len(rows) < cell.recipe.epochs else {"valid_nll_last": rows[-1]["valid_nll"]}
    return {"headline": "last", "epochs": len(rows), "device": slot.device, **measured}


def _write(path: Path, rows: list[Row]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(rows))
    temporary.replace(path)
