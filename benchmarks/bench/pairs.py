"""`PYTHONPATH=benchmarks python -m bench.pairs STUDY A B`: two results folders, by trial.

A and B may also be files of the table `trials`, as they stand in results/reference.

Trials are matched by `pair_key`, which leaves out the precision: did it move a result, and what did
a trial cost? `seconds` of a trial is its share of its slot's time, so that slots times 3600 divided
by their mean is trials an hour.
"""

import math
import sys
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from ablate.report.frame import results
from ablate.report.statistics import SeedMean, seed_mean
from bench.intervals import Interval, number, of_median


class Pairs(NamedTuple):
    """What n trials of `b` are to the same trials of `a`.

    `valid` and `test` are relative differences of perplexity in percent, b to a; `apart` the
    largest of valid in size; `speed` is a's seconds divided by b's, over all of them, with bounds
    that hold those of the ratios trial by trial; None for one trial.
    """

    n: int
    valid: SeedMean
    test: SeedMean
    apart: float
    speed: Interval | None
    precisions: tuple[str, str]


def compare(a: pd.DataFrame, b: pd.DataFrame) -> Pairs:
    """Pair the finished trials of two frames of `ablate.results`; ValueError where none match."""
    columns = ["pair_key", "precision", "valid_ppl", "test_ppl", "seconds"]
    one, two = (
        frame[frame["status"] == "ok"][columns].drop_duplicates("pair_key") for frame in (a, b)
    )
    both = one.merge(two, on="pair_key", suffixes=("_a", "_b"))
    if both.empty:
        raise ValueError("no trial of one folder has its pair in the other")
    changed = {
        name: 100.0 * (both[f"{name}_ppl_b"] / both[f"{name}_ppl_a"] - 1.0)
        for name in ("valid", "test")
    }
    return Pairs(
        n=len(both),
        valid=seed_mean(changed["valid"].tolist()),
        test=seed_mean(changed["test"].tolist()),
        apart=float(changed["valid"].abs().max()),
        speed=_speed(both["seconds_a"].tolist(), both["seconds_b"].tolist()),
        precisions=(_one(both["precision_a"]), _one(both["precision_b"])),
    )


def words(pairs: Pairs, names: Mapping[str, str]) -> str:
    """The comparison in four lines."""
    a, b = (f"{names[side]} ({pairs.precisions[i]})" for i, side in enumerate("ab"))
    lines = [f"{pairs.n} trials of {b} against the same of {a}"]
    for name, found in (("valid", pairs.valid), ("test", pairs.test)):
        half = "" if math.isnan(found.half) else f" +- {found.half:.2f} (95 %)"
        lines.append(f"{name} perplexity, mean difference: {found.mean:+.2f}{half} %")
    lines.append(f"largest difference in valid perplexity: {pairs.apart:.2f} %")
    lines.append(f"seconds of a slot a trial, {a} divided by {b}: {_told(pairs.speed)}")
    return "\n".join(lines)


def _speed(one: list[float], other: list[float]) -> Interval | None:
    if len(one) < 2:
        return None
    whole = sum(one) / sum(other)
    each = of_median([a / b for a, b in zip(one, other, strict=True)])
    return Interval(whole, whole, whole).spanning(each)


def _told(speed: Interval | None) -> str:
    return number(speed, null=1.0) if speed else "one trial has no spread"


def _one(column: pd.Series) -> str:
    return "/".join(sorted(set(column)))


def _trials(study: str, where: str) -> pd.DataFrame:
    if not where.endswith(".parquet"):
        return results(study, results=where)
    frame = pd.read_parquet(where)
    for split in ("valid", "test"):
        nll = [row[f"{split}_nll_{row['headline']}"] for row in frame.to_dict("records")]
        frame[f"{split}_ppl"] = np.exp(np.array(nll, dtype=np.float64))
    return frame


def main(study: str, a: str, b: str) -> None:
    """Print the comparison of a study's trials in `a` and in `b`."""
    pairs = compare(_trials(study, a), _trials(study, b))
    print(words(pairs, {"a": a, "b": b}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(
            "pairs takes a study and two results, folders or trials.parquet files, "
            f"got {len(sys.argv) - 1} arguments: python -m bench.pairs STUDY A B",
            file=sys.stderr,
        )
        sys.exit(2)
    main(*sys.argv[1:])
