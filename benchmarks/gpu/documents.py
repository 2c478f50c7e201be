"""What a machine with a GPU found, kept in one file, and the tables that are made of it.

    python -m gpu.documents DIR results/reference/gpu/NAME.json    # the rows of `run.py`
    python -m gpu.documents LOG results/reference/gpu/NAME.csv # epochs that `ablate run` printed

`results/reference/evidence.py` writes the tables; README.md beside the file shows them.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from ablate.report.numbers import NOTHING, signed
from gpu.predictions import predictions
from gpu.steps import CHECKS, PARTS

FOLDER: Final = Path(__file__).parents[2] / "results/reference/gpu"
_KEPT: Final = FOLDER / "h100.json"
_TRIALS: Final = FOLDER / "quick.csv"
_CURVES: Final = FOLDER / "edges.csv"


def kept(out: Path) -> dict[str, Any]:
    """How each step of a run ended, in the order of the lists, with its rows."""
    steps = {}
    for step in (*CHECKS, *PARTS):
        if (ended := out / f"{step.name}.json").exists():
            found = json.loads(ended.read_text())
            steps[step.name] = {key: found[key] for key in ("state", "seconds", "told")}
            steps[step.name]["rows"] = _rows(out / f"{step.name}.jsonl")
    return {"machine": _rows(out / "machine.jsonl"), "steps": steps}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def tables() -> dict[Path, bytes]:
    """Every table, by the path where it lies."""
    found = json.loads(_KEPT.read_text(encoding="utf-8"))
    made = {
        "checks.md": _checks(found),
        "times.md": _times(found["steps"]["times"]["rows"]),
        "quick.md": _devices(pd.read_csv(_TRIALS)),
        "edges.md": _edges(pd.read_csv(_CURVES)),
    }
    return {FOLDER / name: "".join(f"{line}\n" for line in rows).encode()
            for name, rows in made.items()}  # fmt: skip


def _checks(found: dict[str, Any]) -> Iterator[str]:
    yield from _head(("step", "state", "what was found"), ":-- :-- :--")
    for name, ended in found["steps"].items():
        if name in {step.name for step in CHECKS}:
            yield _line((f"`{name}`", ended["state"], ended["told"]))


def _times(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line a net, precision and number of trials; a column a strategy."""
    by_case: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        if "ms" in row:
            net, precision, trials, strategy = row["what"].split()
            case = net, precision, trials.removeprefix("K=")
            by_case.setdefault(case, {})[strategy] = row
    order = sorted(by_case, key=lambda case: (case[0], case[1], int(case[2])))
    names = "none", "zaremba2014", "everywhere"
    head = ("net", "precision", "trials", *names, "predicted", "a trial", "memory (MiB)")
    yield from _head(head, ":-- :-- --: --: --: --: --: --: --:")
    for case in order:
        own, what = by_case[case], "{} {} K={} zaremba2014".format(*case)
        low, high = predictions().get(what, (None, None))
        yield _line(
            (
                *case,
                *(f"{own[name]['ms']:.2f}" for name in names),
                f"{low:g} to {high:g}" if low is not None else "",
                f"{own['zaremba2014']['ms_a_trial']:.2f}",
                f"{own['zaremba2014']['peak_bytes'] / 2**20:,.0f}",
            )
        )


def _devices(frame: pd.DataFrame) -> Iterator[str]:
    """The same trials on a GPU and on a CPU, perplexities."""
    runs = frame["run"].unique()
    head = ("placement", *(f"{split}, {run}" for split in ("valid", "test") for run in runs))
    yield from _head(head, ":--" + 2 * len(runs) * " --:")
    for label, own in frame.groupby("label", sort=False):
        by_run = own.set_index("run")
        yield _line(
            (
                str(label),
                *(f"{np.exp(by_run[f'{split}_nll'][run]):.1f}"
                  for split in ("valid", "test") for run in runs),
            )
        )  # fmt: skip


def _edges(frame: pd.DataFrame) -> Iterator[str]:
    """Of each trial its last epoch, in order of validation."""
    last = frame[frame["epoch"] == frame["epoch"].max()].sort_values("valid")
    none = float(last.loc[last["label"] == "none", "valid"].iloc[0])
    yield from _head(("placement", "train (ppl)", "valid (ppl)", "to none"), ":-- --: --: --:")
    for row in last.itertuples(index=False):
        apart = row.valid - none
        told = NOTHING if row.label == "none" else signed(apart)
        yield _line((row.label, f"{row.train:.1f}", f"{row.valid:.1f}", told))


def curves(log: str) -> pd.DataFrame:
    """Perplexities by trial and epoch of what `ablate run` printed."""
    line = re.compile(
        r"\] (?P<label>.+), seed (?P<seed>\d+): epoch (?P<epoch>\d+)/\d+, "
        r"perplexity train (?P<train>[\d.]+) valid (?P<valid>[\d.]+),"
    )
    found = [match.groupdict() for match in map(line.search, log.splitlines()) if match]
    numbers = {"seed": int, "epoch": int, "train": float, "valid": float}
    return pd.DataFrame(found).astype(numbers)


def _head(names: tuple[str, ...], rules: str) -> Iterator[str]:
    yield _line(names)
    yield _line(rules.split())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    if source.is_dir():
        target.write_text(json.dumps(kept(source), indent=1) + "\n", encoding="utf-8")
    else:
        curves(source.read_text(encoding="utf-8")).to_csv(target, index=False)
