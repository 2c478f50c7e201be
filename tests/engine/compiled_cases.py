"""What is drawn and computed twice, eagerly in the test and compiled in a process of its own.

python -m engine.compiled_cases FILE NAME...      saves the tensors of the named cases
"""

import sys
from collections.abc import Callable

import torch
from engine.case import everything, make_case, window_of
from torch import Tensor

from ablate.compiling import can_compile
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine.plan import Mode, Path
from ablate.masks import Address, Keep, activation_words, weight_words
from ablate.noise import threshold
from ablate.placement import Placement

_EACH = Sharing(time=1, batch=1, unit=1, gate=1, word=1, update=1)
_HERE = Address(seed=2**32 - 1, edge=Edge.CARRY, layer=3, update=2**32 - 1)
_SIZES = {"time": 7, "batch": 3, "units": 13}


_KEEP = Keep(threshold(0.3), 1.0 / 0.7, torch.float32)


def _mask() -> dict[str, Tensor]:
    """One mask in the shape that the kernels below take, and at the limits of its counters."""
    there = Address(seed=1, edge=Edge.INPUT, start=2**30 - 9, batch_offset=2**32 - 5)
    step = Sharing(time=1, batch=1, unit=1, gate=ALL, update=1)
    return {
        "here": activation_words(_HERE, step, **_SIZES, keep=_KEEP),
        "there": activation_words(there, step, **_SIZES, keep=_KEEP),
    }


def _words() -> dict[str, Tensor]:
    """Words and masks in other shapes and sharings, each a variant of the compiled code."""
    burst = Sharing(time=3, batch=ALL, unit=5, gate=ALL, update=2)
    weight = Sharing(source=1, unit=1, gate=1, update=1)
    tokens = torch.arange(21).view(7, 3) * 10_007
    return {
        "each": activation_words(_HERE, _EACH, **_SIZES),
        "by word": activation_words(_HERE, _EACH, **_SIZES, tokens_TB=tokens),
        "in bursts": activation_words(_HERE, burst, **_SIZES),
        "of a weight": weight_words(_HERE, weight, sources=9, units=13),
        "other sizes": activation_words(_HERE, _EACH, time=2, batch=5, units=8, keep=_KEEP),
    }


def _kernels(
    placement: Placement, mode: Mode = Mode.TRAIN, lengths: tuple[int, ...] = (7, 1)
) -> Callable[[], dict[str, Tensor]]:
    """Outputs and gradients of one layer, in float32, over windows of these lengths."""

    def run() -> dict[str, Tensor]:
        found = {}
        for steps in lengths:
            case = make_case(1, steps=steps, dtype=torch.float32)
            made = everything(case, placement, window_of(case, mode=mode), Path.LOOPED)
            found |= {f"{name}, T={steps}": value for name, value in made.items()}
        return found

    return run


_APART = Sharing(gate=1)

CASES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "mask": _mask,
    "words": _words,
    "cell": _kernels(Placement({Edge.CELL: Drop(0.3)}), lengths=(7,)),
    "silent": _kernels(Placement()),
    "gal2016": _kernels(Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, _APART)})),
    "zoneout": _kernels(Placement({Edge.HIDDEN | Edge.CARRY: Drop(0.3, fill=Fill.HOLD)})),
    "both-held": _kernels(Placement({Edge.HIDDEN | Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)})),
    "evaluation": _kernels(
        Placement({Edge.CELL: Drop(0.3, Sharing(time=3)), Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD)}),
        Mode.MEAN,
    ),
    "inside": _kernels(
        Placement(
            {
                Edge.RECURRENT: Drop(0.3, _APART),
                Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD),
                Edge.UPDATE: Drop(0.3),
                Edge.CELL: Drop(0.3, fill=Fill.HOLD),
                Edge.CARRY: Drop(0.3),
            }
        )
    ),
}


def main(path: str, *names: str) -> None:
    """Save the tensors of the named cases; refuses to run eagerly."""
    assert can_compile(), "this process was to compile its kernels"
    torch.save({name: CASES[name]() for name in names}, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
