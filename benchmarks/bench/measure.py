"""What the bench measures, group by group; each gives the rows of a table of the JSON."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Protocol

import torch

from ablate.engine.plan import Path
from ablate.strategies import get
from bench.options import Options
from bench.ratios import with_ratios
from bench.shapes import Shape
from bench.timing import Step, Timing, exponent, interleave, line
from bench.trainers import (
    EVALUATED,
    Alone,
    Case,
    build,
    first,
    gates,
    ran,
    random_parameters,
    task_of,
)

Row = dict[str, Any]


class Interleave(Protocol):
    """`interleave` with the repetitions of a run."""

    def __call__(self, steps: Mapping[Hashable, Step]) -> dict[Hashable, Timing]: ...


def turns(options: Options, synchronise: Callable[[], object]) -> Interleave:
    """`interleave`, as often as the options say."""
    return partial(interleave, repeat=options.repeat, warm=options.warm, synchronise=synchronise)


def update_cases(shape: Shape, options: Options) -> list[Case]:
    """Every strategy on its plan's path, `none` on either, and the stock trainer."""
    cases = []
    for precision in options.precisions:
        one = partial(Case, shape=shape, precision=precision)
        for strategy in options.strategies:
            if strategy == "none":
                paths = {ran(path, precision).value for path in (Path.LIBRARY, Path.LOOPED)}
                cases += [one(trainer="ablate", strategy=strategy, path=p) for p in sorted(paths)]
            else:
                cases.append(one(trainer="ablate", strategy=strategy))
        cases += [one(trainer="stock", strategy=strategy) for strategy in ("none", "dropout")]
    return cases


def updates(shape: Shape, options: Options, in_turn: Interleave) -> dict[Case, Row]:
    """Training, evaluation and masks of every case at one shape, all of them in turns."""
    cases = update_cases(shape, options)
    values = random_parameters(shape, options.device)
    steps: dict[Hashable, Step] = {}
    for case in cases:
        trainer = build(case, options.device, values)
        steps[case, "train"] = trainer.update
        steps[case, "evaluate"] = trainer.evaluate
        if isinstance(trainer, Alone) and len(trainer.planned.placement):
            steps[case, "masks"] = trainer.masks
    taken = in_turn(steps)
    rows = []
    for case in cases:
        evaluated = taken[case, "evaluate"].over(EVALUATED)
        rows.append(
            _named(case)
            | _paths(case, options.device)
            | {"train": asdict(taken[case, "train"]), "evaluate": asdict(evaluated)}
            | {"masks": asdict(taken[case, "masks"]) if (case, "masks") in taken else None}
        )
    return dict(zip(cases, with_ratios(rows), strict=True))


def cohorts(options: Options, in_turn: Interleave) -> dict[Case, Row]:
    """Cohorts of each size at the first shape, in turns with the stock trainer."""
    shape = options.shapes[0]
    whole = random_parameters(shape, options.device, max(options.cohorts))
    cases = [
        Case(trainer="ablate", shape=shape, precision=precision, strategy=strategy, size=size)
        for precision in options.precisions
        for strategy in options.in_cohorts
        for size in options.cohorts
    ]
    stock = {
        precision: Case(trainer="stock", shape=shape, precision=precision, strategy="none")
        for precision in options.precisions
    }
    steps: dict[Hashable, Step] = {
        case: build(case, options.device, first(whole, case.size or 1)).update for case in cases
    }
    steps |= {case: build(case, options.device).update for case in stock.values()}
    taken = in_turn(steps)
    stock_ms = {precision: taken[case].ms for precision, case in stock.items()}
    rows = {}
    for case in cases:
        ms = taken[case].ms / (case.size or 1)
        smallest = replace(case, size=min(options.cohorts))
        fp32 = stock_ms.get("fp32")
        rows[case] = _named(case) | {
            "size": case.size,
            "train": asdict(taken[case]),
            "stock": asdict(taken[stock[case.precision]]),
            "ms_a_trial": ms,
            "faster_than_one": taken[smallest].ms / min(options.cohorts) / ms,
            "faster_than_stock": stock_ms[case.precision] / ms,
            "faster_than_stock_fp32": fp32 / ms if fp32 else None,
        }
    return rows


def lengths(shape: Shape, options: Options, in_turn: Interleave) -> list[Row]:
    """Updates of longer windows at a shape: the exponent of time against tokens, and the line."""
    values = random_parameters(shape, options.device)
    cases = {
        (precision, strategy, factor): Case(
            trainer="ablate",
            shape=shape.longer(factor),
            precision=precision,
            strategy=strategy,
        )
        for precision in options.precisions
        for strategy in options.in_cohorts
        for factor in options.lengths
    }
    taken = in_turn(
        {key: build(case, options.device, values).update for key, case in cases.items()}
    )
    rows = []
    for precision in options.precisions:
        for strategy in options.in_cohorts:
            timings = [taken[precision, strategy, factor] for factor in options.lengths]
            tokens = [shape.tokens * factor for factor in options.lengths]
            ms = [timing.ms for timing in timings]
            rows.append(
                {
                    "shape": shape.name,
                    "precision": precision,
                    "strategy": strategy,
                    "tokens": tokens,
                    "train": [asdict(timing) for timing in timings],
                    "exponent": exponent(tokens, ms),
                    "line": line(tokens, ms)._asdict(),
                }
            )
    return rows


def first_seconds(rows: list[Row]) -> float:
    """What the first calls of `updates` took beyond later ones: compiling, or loading what was."""
    calls = [(row["train"], 1) for row in rows] + [(row["evaluate"], EVALUATED) for row in rows]
    calls += [(row["masks"], 1) for row in rows if row["masks"]]
    return sum(count * max(0.0, call["first_ms"] - call["ms"]) for call, count in calls) / 1e3


def waits(device: str) -> Callable[[], object]:
    """What waits for the device to be done; nothing on the CPU."""
    if torch.device(device).type == "cuda":
        return partial(torch.cuda.synchronize, device)
    return lambda: None


def _named(case: Case) -> Row:
    return {
        "shape": case.shape.name,
        "precision": case.precision,
        "trainer": case.trainer,
        "strategy": case.strategy,
    }


def _paths(case: Case, device: str) -> Row:
    if case.trainer == "stock":
        return {"path": None, "evaluate_path": None, "gates": None}
    planned = task_of(case, device)
    return {
        "path": ran(planned.train_path, case.precision).value,
        "evaluate_path": ran(planned.evaluate_path, case.precision).value,
        "gates": gates(get(case.strategy).place()),
    }
