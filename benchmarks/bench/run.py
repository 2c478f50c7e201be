"""One bench: every group in its order, as one value that JSON can hold."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import torch

from ablate.training.arithmetic import settle
from bench.ceilings import (
    Bandwidth,
    Product,
    bandwidths,
    large_products,
    step_products,
)
from bench.machine import describe
from bench.measure import cohorts, first_seconds, lengths, turns, updates, waits
from bench.memory import peaks
from bench.options import Options
from bench.parts import parts
from bench.ratios import rooflines
from bench.trainers import Case

# Raised whenever a key changes its name or its meaning.
SCHEMA: Final = 2

Report = dict[str, Any]
Row = dict[str, Any]
Ceilings = tuple[list[Product], list[Bandwidth]]


def run(options: Options, say: Callable[[str], object], *, command: Sequence[str] = ()) -> Report:
    """Measure everything that the options ask for; `say` is told what is under way."""
    settle(options.device)
    with _threads(options.threads):
        return _run(options, say, command)


def run_parts(
    options: Options, say: Callable[[str], object], *, command: Sequence[str] = ()
) -> Report:
    """Measure the parts of an update by themselves, each in several ways."""
    settle(options.device)
    with _threads(options.threads):
        began = time.perf_counter()
        report = _head(options, command)
        rows = []
        for shape in options.shapes:
            say(f"parts of an update at {shape.words.partition(', V')[0]}")
            rows += parts(shape, options, turns(options, waits(options.device)))
        return report | {"parts": rows, "seconds": time.perf_counter() - began}


def _run(options: Options, say: Callable[[str], object], command: Sequence[str]) -> Report:
    began = time.perf_counter()
    report = _head(options, command)
    in_turn = turns(options, waits(options.device))
    say("ceilings: products and memory")
    ceilings = _ceilings(options)
    alone: dict[Case, Row] = {}
    for shape in options.shapes:
        say(f"updates at {shape.words}; what is not in the cache is compiled first")
        alone |= updates(shape, options, in_turn)
    say(f"cohorts of {', '.join(map(str, options.cohorts))}")
    side_by_side = cohorts(options, in_turn)
    say("time against tokens")
    longer = [row for shape in options.shapes for row in lengths(shape, options, in_turn)]
    # Again, for the case that the machine was busy before.
    products, bandwidth = best_of(ceilings, _ceilings(options))
    say("peak memory")
    cases = [*alone, *side_by_side]
    grown = dict(zip(cases, peaks(cases, options.device, threads=options.threads), strict=True))
    rows, of_cohorts = (
        [row | {"peak_bytes": grown[case]} for case, row in measured.items()]
        for measured in (alone, side_by_side)
    )
    return report | {
        "ceilings": {
            "products": [asdict(each) for each in products],
            "bandwidths": [asdict(each) for each in bandwidth],
        },
        "first_seconds": first_seconds(rows),
        "updates": rows,
        "cohorts": of_cohorts,
        "lengths": longer,
        "rooflines": rooflines(options, products, bandwidth, rows),
        "seconds": time.perf_counter() - began,
    }


def _ceilings(options: Options) -> Ceilings:
    products = large_products(options.precisions, options.device, sizes=options.products)
    for number, shape in enumerate(options.shapes):
        trials = (1, max(options.cohorts)) if number == 0 else (1,)
        products += step_products(shape, options.precisions, options.device, trials=trials)
    return products, bandwidths(options.device)


def best_of(one: Ceilings, other: Ceilings) -> Ceilings:
    """The better of two measurements of each ceiling."""
    products = [
        max(pair, key=lambda each: each.operations_per_second)
        for pair in zip(one[0], other[0], strict=True)
    ]
    bandwidth = [
        max(pair, key=lambda each: each.bytes_per_second)
        for pair in zip(one[1], other[1], strict=True)
    ]
    return products, bandwidth


def _head(options: Options, command: Sequence[str]) -> Report:
    machine = describe(options.device, threads=options.threads, command=command)
    return {"schema": SCHEMA, "machine": machine, "options": options.facts()}


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
