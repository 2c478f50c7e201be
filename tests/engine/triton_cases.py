"""What Triton's interpreter computes, in a process of its own.

TRITON_INTERPRET=1 python -m engine.triton_cases FILE NAME...     saves the tensors of named cases

The interpreter is chosen when Triton is first imported, so that only `main` and what it calls
import it. Shapes: K trials, T time, B batch, D input, H hidden, G gates.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import torch
from engine.case import Case, make_case, window_of
from torch import Tensor

from ablate.drops import ALL, Drop, Fill, Scale, Sharing
from ablate.edges import Edge
from ablate.engine.cohort import Trial, run_cohort
from ablate.engine.factors import Slot, Window
from ablate.engine.kernels import Kind
from ablate.engine.plan import Mode
from ablate.engine.reference import LayerWeights
from ablate.engine.stack import StackOutput
from ablate.masks import activation_words
from ablate.noise import GAUSSIAN
from ablate.placement import Placement

STEPS = 3

_NONE = Placement()


class Cohort(NamedTuple):
    """Placements side by side; trial k has the k-th seed, update, first step and first row."""

    placements: tuple[Placement, ...]
    mode: Mode = Mode.TRAIN
    bias: bool = True
    layers: int = 1

    def case(self, k: int) -> Case:
        return make_case(self.layers, steps=STEPS, dtype=torch.float32, bias=self.bias, seed=k)

    def window(self, k: int) -> Window:
        stated = {"seed": 2**32 - 1 - k, "update": 2**32 - 7 + k, "stack": k}
        return window_of(self.case(k), mode=self.mode, start=2 * k, batch_offset=5 * k, **stated)

    @property
    def windows(self) -> list[Window]:
        return [self.window(k) for k in range(len(self.placements))]


def _at(edge: Edge, *drops: Drop) -> Cohort:
    return Cohort(tuple(Placement({edge: drop}) for drop in drops))


def _held(edge: Edge) -> Cohort:
    """Held in bursts beside zeroed: two slots in the union, each silent in one trial."""
    return _at(edge, Drop(0.3, Sharing(time=2), fill=Fill.HOLD), Drop(0.6))


_MIXED = (
    Placement(
        {
            Edge.INPUT | Edge.RECURRENT: Drop(0.3, Sharing(gate=1)),
            Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD),
            Edge.UPDATE: Drop(0.2, scale=Scale.TEST),
            Edge.CELL: Drop(0.4, fill=Fill.HOLD),
            Edge.CARRY: Drop(0.3),
        }
    ),
    Placement(
        {
            Edge.WEIGHT: Drop(0.5),
            Edge.RECURRENT: Drop(0.4, fill=Fill.HOLD),
            Edge.HIDDEN: Drop(0.3, Sharing(unit=3)),
            Edge.CELL: Drop(0.2, Sharing(time=2)),
            Edge.CARRY: Drop(0.6, Sharing(batch=ALL), fill=Fill.HOLD),
        }
    ),
    _NONE,
)

COHORTS = {
    "silent": Cohort((_NONE,)),
    "no-bias": Cohort((_NONE, Placement({Edge.CARRY: Drop(0.3)})), bias=False),
    "RECURRENT": _at(Edge.RECURRENT, Drop(0.3), Drop(0.6, Sharing(time=ALL, unit=2))),
    "RECURRENT-apart": _at(
        Edge.RECURRENT, Drop(0.3, Sharing(gate=1)), Drop(0.6, Sharing(gate=ALL, batch=2))
    ),
    "RECURRENT-HOLD": _held(Edge.RECURRENT),
    "HIDDEN": _at(Edge.HIDDEN, Drop(0.3, scale=Scale.TEST), Drop(0.6, Sharing(update=5))),
    "HIDDEN-HOLD": _held(Edge.HIDDEN),
    "UPDATE": _at(Edge.UPDATE, Drop(0.3, Sharing(time=ALL)), Drop(0.6, Sharing(unit=ALL))),
    "CELL": _at(Edge.CELL, Drop(0.3, Sharing(batch=ALL)), Drop(0.6, Sharing(time=3))),
    "CELL-HOLD": _held(Edge.CELL),
    "CARRY": _at(Edge.CARRY, Drop(0.3), Drop(0.6, Sharing(time=2, unit=4))),
    "CARRY-HOLD": _held(Edge.CARRY),
    "GAUSSIAN": Cohort(
        (
            Placement({Edge.HIDDEN: Drop(0.3, noise=GAUSSIAN), Edge.CARRY: Drop(0.3)}),
            Placement({Edge.HIDDEN: Drop(0.3)}),
        )
    ),
    "MIXED": Cohort(_MIXED),
    "STACK": Cohort(
        (
            Placement({Edge.INTERLAYER | Edge.OUTPUT: Drop(0.3), Edge.UPDATE: Drop((0.0, 0.4))}),
            Placement({Edge.RECURRENT: Drop(0.4, Sharing(gate=1, time=ALL, batch=ALL))}),
            Placement({Edge.RECURRENT: Drop((0.3, 0.0), Sharing(gate=1))}),
        ),
        layers=2,
    ),
    "MEANS": Cohort(
        (
            Placement({Edge.CELL: Drop(0.3, Sharing(time=2), scale=Scale.TEST)}),
            Placement(
                {
                    Edge.UPDATE | Edge.CARRY: Drop(0.3, scale=Scale.TEST),
                    Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD),
                }
            ),
            Placement({Edge.CELL | Edge.CARRY | Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)}),
        ),
        mode=Mode.MEAN,
    ),
}


def run(cohort: Cohort) -> dict[str, Tensor]:
    """The cohort over its windows: outputs and gradients with K in front, named as `everything`."""
    cases = [cohort.case(k) for k in range(len(cohort.placements))]
    weights = tuple(
        LayerWeights(*(None if own[0] is None else _leaf(own) for own in zip(*layer, strict=True)))
        for layer in zip(*(case.weights for case in cases), strict=True)
    )
    y, s, c = zip(*(case.cotangents for case in cases), strict=True)
    together = Case(
        _leaf([case.x_TBD for case in cases]),
        cases[0].tokens_TB,
        (
            _leaf([case.state[0] for case in cases], dim=1),
            _leaf([case.state[1] for case in cases], dim=1),
        ),
        weights,
        StackOutput(torch.stack(y), torch.stack(s, dim=1), torch.stack(c, dim=1)),
    )
    trials = [Trial(*each) for each in zip(cohort.placements, cohort.windows, strict=True)]
    given = (together.x_TBD, together.state, together.weights, trials)
    made, leaves = run_cohort(*given, triton=True), together.leaves()
    with torch.no_grad():
        for one, other in zip(made, run_cohort(*given, triton=True), strict=True):
            assert torch.equal(one, other), "without a tape the loop is the same"
    gradients = torch.autograd.grad(list(made), list(leaves.values()), together.cotangents)
    found = dict(zip(("y", "s_T", "c_T"), made, strict=True)) | {
        f"d {name}": gradient for name, gradient in zip(leaves, gradients, strict=True)
    }
    by_layer = ("s_T", "c_T", "d s_0", "d c_0")
    return {
        name: (value.transpose(0, 1) if name in by_layer else value).detach().contiguous()
        for name, value in found.items()
    }


def _leaf(values: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Trials' leaves side by side, a leaf."""
    return torch.stack([value.detach() for value in values], dim).requires_grad_()


STEP_KIND = Kind(
    (Slot.RECURRENT, Slot.STATE_HOLD, Slot.BEGIN, Slot.CELL, Slot.READ, Slot.HIDDEN),
    apart=True,
    product=torch.bfloat16,
)


def step_case(kind: Kind = STEP_KIND) -> tuple[dict[str, Tensor], dict[Slot, Tensor]]:
    """Inputs of either pass and two steps' factors, drawn, over more units than a program has.

    STATE_HOLD's are tossed: 0 and 1.
    """
    trials, steps, batch, hidden = 2, 2, 1, 150
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.randn(trials, *shape, generator=generator).to(dtype)

    gates = (4, batch, hidden) if kind.apart else (batch, 4, hidden)
    read = (4, batch, hidden) if kind.apart else (batch, hidden)
    inputs = {
        "projection": drawn(*gates, dtype=kind.product),
        "product": drawn(*gates, dtype=kind.product),
        "bias": drawn(4, hidden),
        "c": drawn(batch, hidden),
        "s": drawn(batch, hidden),
        "gy": drawn(batch, hidden),
        "p": drawn(*read, dtype=kind.product),
        "ds_held": drawn(batch, hidden),
        "dc": drawn(batch, hidden),
    }
    shapes = {
        Slot.RECURRENT: (steps, batch, 4, hidden),
        Slot.BEGIN: (steps, 1, 1, 1),
        Slot.READ: (1, 1, 1, 1),
        Slot.CELL: (1, batch, 1, hidden),
    }
    every = (steps, batch, 1, hidden)
    slots = {slot: drawn(*shapes.get(slot, every)) for slot in kind.slots}
    return inputs, slots | {Slot.STATE_HOLD: (slots[Slot.STATE_HOLD] > 0).float()}


def step() -> dict[str, Tensor]:
    """The first of those steps, both passes, by the kernels."""
    from ablate.engine.triton_steps import backward, forward

    x, slots = step_case()
    made = forward(STEP_KIND, x["projection"], x["product"], x["bias"], x["c"], x["s"], slots, t=0)
    back = backward(STEP_KIND, x["gy"], x["p"], x["ds_held"], x["dc"], made[:5], x["c"], slots, t=0)
    return dict(enumerate((*made, *back)))


class Masked(NamedTuple):
    """One edge's drops in trials side by side, and the window of them all."""

    edge: Edge
    drops: tuple[Drop, ...]
    window: Window
    units: int = 13
    tokens_TB: Tensor | None = None

    @property
    def placements(self) -> list[Placement]:
        return [Placement({self.edge: drop}) for drop in self.drops]

    @property
    def gates(self) -> int:
        apart = any(drop.sharing and drop.sharing.gate == 1 for drop in self.drops)
        return 4 if apart or self.edge is Edge.WEIGHT else 1

    @property
    def size(self) -> dict[str, int]:
        if self.edge is Edge.WEIGHT:
            return {"time": 1, "batch": self.units, "units": self.units, "gates": 4}
        window = self.window
        size = {"time": window.time, "batch": window.batch}
        return size | {"units": self.units, "gates": self.gates}


LAYER = 3
_HERE = Window(seed=1, update=11, time=2, batch=2, start=1, batch_offset=5)
_LAST = Window(
    seed=2**32 - 1,
    update=2**32 - 1,
    time=2,
    batch=2,
    start=2**30 - 2,
    batch_offset=2**32 - 2,
    stack=255,
)
_ONE = Window(seed=5, update=0, time=1, batch=1)

MASKS = {
    "each": Masked(Edge.RECURRENT, (Drop(0.3, Sharing(gate=1)), Drop(0.5)), _HERE),
    "last": Masked(Edge.INTERLAYER, (Drop(0.3, Sharing(gate=1)),), _LAST),
    "shared": Masked(
        Edge.INTERLAYER,
        (
            Drop(0.3, Sharing(time=2, batch=ALL, unit=5, update=4)),
            Drop(0.9, Sharing(time=ALL, batch=3, unit=ALL, update=ALL)),
        ),
        _HERE,
    ),
    "blocks": Masked(
        Edge.CELL, (Drop(0.5, fill=Fill.HOLD), Drop(0.5, Sharing(unit=3), Fill.HOLD)), _ONE, 300
    ),
    "weight": Masked(
        Edge.WEIGHT, (Drop(0.5), Drop(0.3, Sharing(source=ALL, gate=ALL, unit=2))), _HERE, 5
    ),
    "word": Masked(
        Edge.EMBEDDING,
        (Drop(0.5, Sharing(unit=1)), Drop(0.5, Sharing(word=ALL, time=1))),
        _HERE,
        6,
        torch.tensor([[0, 2**20 - 1], [7, 0]]),
    ),
}


def last_words() -> Tensor:
    """The words of `last`, [T, B, G, U], as `ablate.masks` draws them."""
    last = MASKS["last"]
    return activation_words(
        last.window.address(last.edge, LAYER),
        last.placements[0][last.edge].shared,
        time=last.window.time,
        batch=last.window.batch,
        units=last.units,
    )


def masks() -> dict[str, Tensor]:
    """The masks by the kernels.

    Also `last`'s mask with the first of its words as threshold, and `shared` one update later.
    """
    from ablate.engine.triton_steps import window_masks
    from ablate.engine.triton_toss import Column, edge_toss

    tosses = {
        name: edge_toss(
            case.edge,
            case.placements,
            [case.window] * len(case.drops),
            LAYER,
            units=case.units,
            fill=case.drops[0].fill,
        )
        for name, case in MASKS.items()
    }
    drawn = {
        name: window_masks(tosses[name], **case.size, tokens_TB=case.tokens_TB)
        for name, case in MASKS.items()
    }
    tosses["last"].table_KC[0, Column.THRESHOLD] = last_words().flatten()[0]
    drawn["threshold"] = window_masks(tosses["last"], **MASKS["last"].size)
    tosses["shared"].updates_K.add_(1)
    return drawn | {"next": window_masks(tosses["shared"], **MASKS["shared"].size)}


def main(path: str, *names: str) -> None:
    """Save the tensors of the named cases; refuses to run compiled."""
    import triton

    assert triton.knobs.runtime.interpret, "this process was to interpret its kernels"
    special = {"masks": masks, "step": step}
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.save(
        {name: special[name]() if name in special else run(COHORTS[name]) for name in names}, path
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
