"""A study from Python: `ablate run`, and its results as a frame."""

import multiprocessing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ablate.console import new_console
from ablate.errors import AblateError, AblateWarning
from ablate.report.frame import read_trials
from ablate.study import carry_out
from ablate.study.job import Order


def run(
    study: str | Path,
    profile: str | None = None,
    *,
    strategies: Sequence[str] = (),
    seeds: int | None = None,
    data: str | Path | None = None,
    results: str | Path = "results",
    slots: int | None = None,
    threads: int | None = None,
    device: str | None = None,
    cohort: int | None = None,
    hours: float | None = None,
    plugins: Sequence[str | Path] = (),
    quiet: bool = False,
    **changes: Any,
) -> pd.DataFrame:
    """Train what is missing of a study, as `ablate run` does, and return `ablate.results` of it.

    `changes` are those of `--set`, values as Python has them: `precision="fp32"`, a table's by its
    name, `recipe={"epochs": 3}`, or by path, `**{"recipe.epochs": 3}`. The other arguments are the
    options of `ablate run`; `quiet` prints nothing. Workers are new processes: a script calls this
    under `if __name__ == "__main__":`, as `multiprocessing` wants it, or with `slots=0`, which
    trains in this process.
    Raises AblateError as `ablate run` says it, and warns of trials that failed with AblateWarning.

        frame = ablate.run("placement", "quick", strategies=["none", "locked"], seeds=1)
        frame.groupby("label").valid_ppl.mean()
    """
    if multiprocessing.parent_process() is not None and slots != 0:
        raise AblateError(
            "ablate.run was called while a worker of it started, which reads the script that began "
            'it: call it under `if __name__ == "__main__":`, or with slots=0'
        )
    order = Order(
        study=str(study),
        profile=profile,
        strategies=tuple(strategies),
        seeds=seeds,
        changes=dict(_by_path(changes)),
        data=None if data is None else str(data),
        results=Path(results),
        slots=slots,
        threads=threads,
        device=device,
        plugins=tuple(map(Path, plugins)),
    )
    console = new_console(quiet=quiet)
    prepared = carry_out.begin(order, console, cohort=cohort)
    summary = carry_out.train(prepared, console, hours=hours)
    if summary.failures:
        first = summary.failures[0]
        warnings.warn(
            f"{len(summary.failures)} trial(s) failed, the first of them {first.name}: "
            f"{first.error.splitlines()[-1]}",
            AblateWarning,
            stacklevel=2,
        )
    return read_trials(prepared.job.store.whole())


def _by_path(changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Changes of single keys: those of a table one by one, so that its others stay."""
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", own) for key, own in value.items())
        else:
            yield name, value
