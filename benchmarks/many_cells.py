"""What a store of thousands of finished trials costs: CPU of a commit, time and memory of a report.

    python benchmarks/many_cells.py FOLDER [--trials 2000] [--sampler random|tpe]

Seven strategies are tuned in FOLDER/results by a trainer that takes no time and invents losses;
each trial has eight epochs and as many log-probabilities as `ptb-tenth` has tokens. Printed are CPU
milliseconds of the driver's process a trial (all of them, and the store's three files alone), and
of `ablate report` in a process of its own the seconds and the largest resident memory.
"""

import argparse
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from ablate.data import load_corpus
from ablate.status import Status
from ablate.store import Store
from ablate.study import driver
from ablate.study.cohorts import Cohorts
from ablate.study.events import Assignment, EpochDone, Finished, Slot
from ablate.study.executors import InProcess
from ablate.study.file import find_study
from ablate.study.tuning import Agenda, ended_of

SLOT = Slot("cpu", 1)


def invent(
    assignments: Sequence[Assignment], slot: Slot, emit: Callable[[EpochDone | Finished], None]
) -> None:
    """Losses that depend on rates and seed, and scores as a real trial has them."""
    for assignment in assignments:
        trial = assignment.trial
        draw = np.random.default_rng(trial.seed)
        loss = (
            5.3
            + sum((float(np.mean(drop.rate)) - 0.3) ** 2 for drop in trial.placement.values()) / 5
        )
        rows = [
            {
                "epoch": epoch,
                "learning_rate": 1.0,
                "running_nll": loss + 0.2,
                "train_nll": loss - 0.5 + 0.1 / epoch,
                "valid_nll": loss + 0.4 / epoch + draw.normal() / 200,
                "gradient_norm": 1.0,
                "tokens_per_second": 1e4,
                "seconds": 1.0,
            }
            for epoch in range(1, trial.recipe.epochs + 1)
        ]
        for row in rows:
            emit(EpochDone(assignment, row))
        last = rows[-1]
        columns = {
            "headline": "last",
            "epochs": len(rows),
            "seconds": 8.0,
            "path": "fused",
            "device": "cpu",
            "threads": 1,
            "started_at": "2026-01-01T00:00:00+00:00",
        }
        for at in ("last", "best"):
            columns |= {f"{split}_nll_{at}": last["valid_nll"] for split in ("valid", "test")}
            columns |= {f"train_nll_{at}": last["train_nll"], f"gap_{at}": 0.5}
        scores = {
            split: draw.normal(-5, 1, size).astype(np.float32)
            for split, size in (("valid", 7376), ("test", 8243))
        }
        emit(Finished(assignment, Status.OK, columns, rows, scores))


def main() -> None:
    """Fill the store and report it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--sampler", default="random")
    given = parser.parse_args()
    profile = find_study("placement")[0].profile("tuned")
    assert profile.tune is not None
    points = (given.trials - 3 * len(profile.strategies)) // len(profile.strategies)
    tune = profile.tune.model_copy(update={"trials": points, "sampler": given.sampler})
    profile = profile.model_copy(update={"tune": tune, "precision": "fp32"})
    agenda = Agenda(profile, load_corpus(profile.corpus), "placement/tuned")
    store = Store.of(given.folder / "results", "placement", "tuned")
    writing, calls = [0.0], [0]
    write = Store.write

    def timed(*arguments: object) -> None:
        began = time.process_time()
        write(*arguments)  # pyright: ignore
        writing[0] += time.process_time() - began
        calls[0] += 1

    Store.write = timed  # pyright: ignore
    began = time.process_time()
    driver.run(
        agenda(ended_of(store, pruned=False)),
        store,
        InProcess(invent, SLOT),  # pyright: ignore
        slots=1,
        console=Console(file=io.StringIO()),
        cohorts=Cohorts(pinned=8),
        agenda=agenda,
        foreseen=agenda.total,
    )
    spent = time.process_time() - began
    print(f"{calls[0]} trials by {given.sampler}")
    each, files = (1e3 * seconds / calls[0] for seconds in (spent, writing[0]))
    print(f"CPU a trial: {each:.1f} ms, of it files {files:.1f}")
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "cli.py", "report", "--results", str(given.folder / "results")],
        cwd=Path(__file__).parents[1],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = time.perf_counter() - began
    memory = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = memory.ru_utime + memory.ru_stime
    print(f"report: {took:.1f} s ({cpu:.1f} s of CPU), {memory.ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
