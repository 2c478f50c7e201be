"""Masks drawn on a device are the CPU's, bit for bit.

Shapes: T time, B batch.
"""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from ablate.addresses import Address, Purpose
from ablate.drops import ALL, Drop, Sharing
from ablate.edges import RULES, Edge
from ablate.engine.masks.net import mask
from ablate.engine.window import Window
from ablate.masks import Coordinates, activation_words, weight_words
from ablate.noise import BERNOULLI, GAUSSIAN
from ablate.rules import complete
from ablate.strategies import get
from gpu.cases import WORDS, Row, is_gpu, on

_GOLDEN: Final = Path(__file__).parents[2] / "tests" / "golden_masks.json"


def equal(device: str) -> Iterator[Row]:
    """Masks are the CPU's bit for bit: the golden addresses, every edge at every sharing."""
    rows = json.loads(_GOLDEN.read_text())["rows"]
    for row in rows:
        *where, drawn = row
        with on(device):
            found = f"{_golden_word(device, *where):08x}"
        assert found == drawn, f"the word at {where} is {found}, the table says {drawn}"
    yield {"golden": len(rows)}
    tokens_TB = torch.arange(21).view(7, 3) ** 2 % WORDS
    count = 0
    for edge, drop in _drops():
        count += 1
        here = Window(seed=2**32 - 1, update=10, time=7, batch=3, start=5, batch_offset=2)
        with on("cpu"):
            expected = mask(drop, edge, 1, 13, here, tokens_TB=tokens_TB)
        with on(device):
            there = replace(here, device=device)
            found = mask(drop, edge, 1, 13, there, tokens_TB=tokens_TB.to(device)).cpu()
        told = f"{edge.label} {drop}"
        if drop.noise == BERNOULLI:
            assert torch.equal(found, expected), f"{told}: masks differ"
        else:
            # Its inverse normal CDF is each library's own, in float64.
            torch.testing.assert_close(found, expected, rtol=2**-22, atol=2**-22, msg=told)
    yield {"drops": count}
    yield from _large_masks(device)
    yield {"told": f"{len(rows)} golden words and {count} drops at all edges are the CPU's bits"}


def _golden_word(
    device: str, seed: int, purpose: str, stack: int, direction: int, layer: int,
    edge: str | None, update: int, time: int, gate: int, row: int, word: int, unit: int,
) -> int:  # fmt: skip
    address = Address(
        seed=seed,
        edge=Edge[edge] if edge else None,
        layer=layer,
        direction=direction,
        stack=stack,
        update=update,
        start=time,
        batch_offset=0 if edge == "WEIGHT" else row,
        purpose=Purpose[purpose],
    )
    if edge == "WEIGHT":
        each = Sharing(source=1, unit=1, gate=1, update=1)
        drawn = weight_words(address, each, sources=row + 1, units=unit + 1, device=device)
        return int(drawn[gate, unit, row])
    each = Sharing(time=1, word=1, batch=1, unit=1, gate=1, update=1)
    tokens_TB = torch.tensor([[word]], device=device)
    drawn = activation_words(
        address, each, time=1, batch=1, units=unit + 1, tokens_TB=tokens_TB, device=device
    )
    return int(drawn[0, 0, gate, unit])


def _drops() -> Iterator[tuple[Edge, Drop]]:
    """Every edge with every fill, scale and noise, at each sharing of each of its axes."""
    extents = {"time": (1, 3, ALL), "batch": (1, ALL), "gate": (1, ALL), "unit": (1, 2, ALL),
               "word": (1, ALL), "source": (1, 2), "update": (1, 4), "direction": (1,)}  # fmt: skip
    for edge, rule in RULES.items():
        for chosen in itertools.product(*(extents[axis] for axis in rule.axes)):
            sharing = Sharing(**dict(zip(rule.axes, chosen, strict=True)))
            yield edge, complete(edge, Drop(0.3, sharing))
            if rule.noise and sharing.unit == 1:
                yield edge, complete(edge, Drop(0.3, sharing, noise=GAUSSIAN))


def _large_masks(device: str) -> Iterator[Row]:
    """At the size of training, the last trial of sixteen drawn together as that trial alone."""
    time, batch, units, trials = (35, 20, 650, 16) if is_gpu(device) else (3, 2, 13, 3)
    for name, edge in (("zaremba2014", Edge.OUTPUT), ("zoneout", Edge.CARRY)):
        drop = get(name).place()[edge]
        sharings, seeds = [drop.shared] * trials, range(1, trials + 1)
        with on(device):
            addresses = [Address(seed=seed, edge=edge, layer=1, update=seed) for seed in seeds]
            at = Coordinates.of(
                addresses, sharings, time=time, batch=batch, units=units, device=device
            )
            together = at.words(torch.tensor([*seeds], device=device))[-1].cpu()
        with on("cpu"):
            alone = activation_words(
                addresses[-1], drop.shared, time=time, batch=batch, units=units
            )
        assert torch.equal(together, alone), f"{edge.label}: words of {units} units differ"
        yield {"edge": edge.label, "units": units, "trials": trials}
