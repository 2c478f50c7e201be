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
from ablate.model.language_model import zero_cohort_state
from ablate.model.net import Net
from ablate.model.parameters import initial_parameters
from ablate.noise import threshold
from ablate.placement import Placement
from ablate.training.update import Task, cohort_update

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


def _update() -> dict[str, Tensor]:
    """A whole update of three trials in one cohort, and of the second of them alone.

    Odd sizes, so that vectors end within rows: the same bits all the same.
    """
    net = Net(layers=1, hidden=13)
    drops = [Placement({Edge.CELL: Drop(rate)}) for rate in (0.2, 0.3, 0.4)]
    tasks = [Task(net, placement, seed) for seed, placement in enumerate(drops)]
    each = [initial_parameters(net, 29, seed=task.seed, radius=0.5) for task in tasks]
    words = torch.arange(42).view(2, 7, 3) ** 2 % 29
    shared = {"learning_rates": [0.5], "updates": [4], "clips": [1.0]}
    together = {name: torch.stack([own[name] for own in each]) for name in each[0]}
    state = zero_cohort_state(net, 3, 3, together["decoder.weight"])
    three = {name: given * 3 for name, given in shared.items()}
    cohort_update(together, *words, state, tasks, **three)
    alone = {name: value.unsqueeze(0) for name, value in each[1].items()}
    state = zero_cohort_state(net, 1, 3, alone["decoder.weight"])
    cohort_update(alone, *words, state, [tasks[1]], **shared)
    found = {f"{name} in a cohort": value[1] for name, value in together.items()}
    return found | {f"{name} alone": value[0] for name, value in alone.items()}


_APART = Sharing(gate=1)

CASES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "mask": _mask,
    "update": _update,
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
