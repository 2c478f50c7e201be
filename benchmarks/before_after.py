"""What a change of the engine must not change, and what it costs: losses, and seconds an update.

    PYTHONPATH=../before python benchmarks/before_after.py losses before.json
    PYTHONPATH=. python benchmarks/before_after.py losses after.json
    python benchmarks/before_after.py compare before.json after.json
    python benchmarks/before_after.py times ../before . --rounds 7 --out times.json
    python benchmarks/before_after.py ratios times.json

`losses` keeps the loss of each of the first 50 updates of twelve placements, each alone and all in
one cohort, in float32 and in bfloat16. `times` runs the updates of two checkouts in turns, a
process for each size and precision, and measures CPU time; `ratios` shows second against first.
The machine does nothing else meanwhile.
"""

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

PLACEMENTS: Final = (
    "none", "zaremba2014", "locked", "everywhere", "gal2016", "moon2015", "semeniuta2016",
    "zoneout", "merity2017", "token", "gaussian", "morerio2017",
)  # fmt: skip
PRECISIONS: Final = ("fp32", "bf16")
UPDATES: Final = 50
WORDS: Final = 2_000

# Units of both layers.
SIZES: Final = {"small": 200, "medium": 650}
_WARM: Final = 2


@click.group()
def main() -> None:
    """Compare two states of the engine."""


def window(words: int) -> tuple[Any, Any]:
    """Words and targets of one window, [35, 20] each: the same ones again and again are learnt."""
    import torch

    drawn = torch.Generator().manual_seed(1)
    text = torch.randint(words, (36, 20), generator=drawn)
    return text[:-1].contiguous(), text[1:].contiguous()


def followed(
    names: Sequence[str], precision: str, hidden: int, words: int
) -> Iterator[list[float]]:
    """The losses of one update after the other of a cohort of these strategies, nats a target."""
    import torch

    from ablate.engine import plan
    from ablate.model.net import Net
    from ablate.model.parameters import initial_parameters
    from ablate.strategies import get

    try:
        from ablate.training.update import TrialPlan
    except ImportError:  # an earlier checkout
        from ablate.training import update

        TrialPlan = update.Task  # pyright: ignore[reportAttributeAccessIssue]

    net = Net(layers=2, hidden=hidden)
    values = initial_parameters(net, words, seed=1, radius=0.1)
    tasks = [
        TrialPlan.planned(net, get(name).place(), 1, "cpu", updates=10_000, precision=precision)
        for name in names
    ]
    if len(tasks) > 1:
        # One path for all: in float32 some would take the library's own LSTM.
        tasks = [replace(task, train_path=plan.Path.LOOPED) for task in tasks]
    cohort = {name: torch.stack([value] * len(tasks)) for name, value in values.items()}
    window_2TB = window(words)
    update = _update(cohort, tasks, window_2TB)
    for number in itertools.count():
        yield [nll / window_2TB[0].numel() for nll in update(number)]


def _update(cohort: Any, tasks: Sequence[Any], window_2TB: tuple[Any, Any]) -> Callable[[int], Any]:
    """What makes the update of a number and returns its losses, nats over all targets."""
    try:
        from ablate.training.update import Update
    except ImportError:
        # The engine before there was one update.
        from ablate.training.repeated import Repeated  # pyright: ignore[reportMissingImports]

        earlier = Repeated(cohort, tasks, window_2TB, learning_rate=0.1, clip=5.0, first=1_000)
        return lambda number: earlier(number).nlls
    (time, batch), trials = window_2TB[0].shape, len(tasks)
    update = Update.of(
        cohort, tasks, (time, batch),
        updates=[1_000] * trials, learning_rates=[0.1] * trials, clips=[5.0] * trials,
    )  # fmt: skip
    return lambda number: update(*window_2TB)[0].tolist()


@main.command()
@click.argument("out", type=click.Path(path_type=Path))
def losses(out: Path) -> None:
    """Keep the first losses of every placement, alone and together."""
    import torch

    torch.set_num_threads(1)
    kept: dict[str, dict[str, list[float]]] = {}
    for precision in PRECISIONS:
        for names in (*((name,) for name in PLACEMENTS), PLACEMENTS):
            rows = [*itertools.islice(followed(names, precision, 200, WORDS), UPDATES)]
            where = f"{precision}, " + ("alone" if len(names) == 1 else "together")
            for name, own in zip(names, zip(*rows, strict=True), strict=True):
                kept.setdefault(where, {})[name] = list(own)
            click.echo(f"{where}: {', '.join(names)}")
    out.write_text(json.dumps(kept, indent=1) + "\n")


@main.command()
@click.argument("before", type=click.Path(path_type=Path, exists=True))
@click.argument("after", type=click.Path(path_type=Path, exists=True))
def compare(before: Path, after: Path) -> None:
    """Show how far losses lie apart: the first, and the furthest of all."""
    old, new = json.loads(before.read_text()), json.loads(after.read_text())
    for where, placements in old.items():
        for name, losses in placements.items():
            apart = [abs(a - b) for a, b in zip(losses, new[where][name], strict=True)]
            verdict = "equal" if not any(apart) else f"first {apart[0]:.1e}, most {max(apart):.1e}"
            click.echo(f"{where:16} {name:14} {verdict}")


@main.command()
@click.argument("size", type=click.Choice(list(SIZES)))
@click.argument("precision", type=click.Choice(PRECISIONS))
@click.argument("trials", type=int)
@click.argument("updates", type=int)
@click.argument("names", nargs=-1)
def seconds(size: str, precision: str, trials: int, updates: int, names: tuple[str, ...]) -> None:
    """CPU seconds of each of some updates of a cohort of each strategy, after two."""
    import torch

    torch.set_num_threads(1)
    found = {}
    for name in names:
        run = followed((name,) * trials, precision, SIZES[size], 10_000)
        taken = []
        for _ in range(_WARM + updates):
            began = time.process_time()
            next(run)
            taken.append(time.process_time() - began)
        found[name] = taken[_WARM:]
    click.echo(json.dumps(found))


@main.command()
@click.argument("first", type=click.Path(path_type=Path, exists=True))
@click.argument("second", type=click.Path(path_type=Path, exists=True))
@click.option("--rounds", default=5, show_default=True)
@click.option("--updates", default=7, show_default=True)
@click.option("--trials", default=1, show_default=True)
@click.option("--sizes", default=",".join(SIZES), show_default=True)
@click.option("--precisions", default=",".join(PRECISIONS), show_default=True)
@click.option("--strategies", default=",".join(PLACEMENTS), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def times(
    first: Path, second: Path, rounds: int, updates: int, trials: int,
    sizes: str, precisions: str, strategies: str, out: Path,
) -> None:  # fmt: skip
    """Time the updates of two checkouts in turns, a process each."""
    names = strategies.split(",")
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for number, size, precision in itertools.product(
        range(rounds), sizes.split(","), precisions.split(",")
    ):
        given = (size, precision, str(trials), str(updates), *names)
        for which, checkout in (("first", first), ("second", second)):
            for name, taken in _elsewhere(checkout, given).items():
                row = found.setdefault(
                    (size, precision, name),
                    {"size": size, "precision": precision, "strategy": name, "trials": trials,
                     "first": [], "second": []},
                )  # fmt: skip
                row[which].append(taken)
        out.write_text(json.dumps(list(found.values())) + "\n")
        click.echo(f"round {number + 1}: {size}, {precision}")


def _elsewhere(checkout: Path, given: Sequence[str]) -> dict[str, list[float]]:
    """Seconds by strategy of the engine of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "seconds", *given],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _line(row: dict[str, Any]) -> str:
    first, second = ([min(each) for each in row[which]] for which in ("first", "second"))
    ratios = [b / a for a, b in zip(first, second, strict=True)]
    ratio = statistics.median(ratios)
    spread = (max(first) - min(first)) / statistics.median(first)
    return (
        f"{row['size']:6} {row['precision']} x{row['trials']} {row['strategy']:14} "
        f"{1e3 * statistics.median(first):7.1f} ms, ratio {ratio:.3f} "
        f"(from {min(ratios):.3f} to {max(ratios):.3f}; the first alone spreads {spread:.3f})"
    )


@main.command()
@click.argument("given", type=click.Path(path_type=Path, exists=True))
def ratios(given: Path) -> None:
    """Show the second checkout against the first, and the geometric mean over all."""
    rows, logs = json.loads(given.read_text()), []
    for row in rows:
        click.echo(_line(row))
        pairs = zip(row["first"], row["second"], strict=True)
        logs.append(math.log(statistics.median(min(b) / min(a) for a, b in pairs)))
    click.echo(f"geometric mean {math.exp(statistics.fmean(logs)):.3f} of {len(logs)}")


if __name__ == "__main__":
    main()
