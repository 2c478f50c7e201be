"""What the update of tensors computes by Triton's interpreter, in a process of its own.

TRITON_INTERPRET=1 python -m training.tensor_cases FILE FOLDER     saves the tensors of all cases

The interpreter is chosen when Triton is first imported. What a GPU alone has is stood in for: a
replay of a graph calls the function again.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from ablate.training.tensor_update import TensorUpdate
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training import toys

from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine import plan
from ablate.engine.plan import Path as EnginePath
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters
from ablate.placement import Placement
from ablate.strategies import get
from ablate.training import graph, sgd, tensor_update
from ablate.training.epoch import Epoch, advance
from ablate.training.graph import WARM_UPS
from ablate.training.loop import Member, Outcome, train_cohort
from ablate.training.update import Copies, Task, product_copies

V, T, B = 11, 2, 2

_CONSTANT = Sharing(time=ALL, batch=ALL, gate=1)
_NONE = Placement()

# Of the same word in the same row of the batch.
_WORDS = Placement({Edge.EMBEDDING: Drop(0.4)})

#: Every way that a mask comes about outside the loop, and some inside it.
_BESIDE = (
    get("merity2017").place(),
    get("moon2015").place(),
    Placement(
        {
            Edge.UPDATE: Drop(0.3),
            Edge.OUTPUT: Drop(0.4, Sharing(update=2, unit=2)),
            Edge.CARRY | Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD),
        }
    ),
    Placement({Edge.WEIGHT: Drop(0.4, Sharing(gate=ALL)), Edge.RECURRENT: Drop(0.3, _CONSTANT)}),
    Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, _CONSTANT)}),
)


class Case(NamedTuple):
    """A cohort and its recipe; trial `spoilt` has an infinite weight in the second update."""

    placements: tuple[Placement, ...]
    clip: float = 100.0
    updates: int = 2
    layers: int = 1
    precision: str = "fp32"
    spoilt: int | None = None

    @property
    def net(self) -> Net:
        return Net(layers=self.layers, hidden=5, embedding=3)

    @property
    def tasks(self) -> list[Task]:
        looped = EnginePath.LOOPED
        return [
            Task(self.net, placement, seed, looped, looped, updates=10, precision=self.precision)
            for seed, placement in enumerate(self.placements)
        ]

    @property
    def given(self) -> dict[str, Any]:
        trials = range(len(self.placements))
        rates = [0.1 * (k + 1) for k in trials]
        clips = [self.clip for _ in trials]
        return {"updates": [3 + k for k in trials], "learning_rates": rates, "clips": clips}

    def parameters(self) -> Parameters:
        own = [initial_parameters(self.net, V, seed=task.seed, radius=0.5) for task in self.tasks]
        return {name: torch.stack([one[name] for one in own]) for name in own[0]}

    def windows(self) -> list[tuple[Tensor, Tensor]]:
        drawn = torch.Generator().manual_seed(3)
        return [torch.randint(V, (2, T, B), generator=drawn).unbind() for _ in range(self.updates)]


#: The first clip holds some of the trials back and others not.
CASES = {
    "gates-apart": Case((_NONE, get("zaremba2014").place(), get("gal2016").place()), 1.1, layers=2),
    "beside": Case(_BESIDE),
    "bf16": Case((_WORDS, _NONE), precision="bf16"),
    "spoilt": Case((_NONE,) * 3, clip=0.5, updates=3, spoilt=1),
}


class Waits(Exception):
    """An operation that waits for the device, or that a graph would bake in."""


class NoWaiting(TorchDispatchMode):
    """Refuses what reads the device, has a size that only it knows, or comes from Python values."""

    REFUSED = (
        "_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "unique",
        "_unique2", "unique_dim", "unique_consecutive", "equal", "lift_fresh", "bincount",
        "repeat_interleave",
    )  # fmt: skip

    # On the CPU these reach no dispatcher.
    SILENT = ("tolist", "numpy", "cpu")

    def __enter__(self):
        def refused(tensor, *args, **kwargs):
            raise Waits("a copy to the host")

        self.without = patch.multiple(torch.Tensor, **dict.fromkeys(self.SILENT, refused))
        self.without.start()
        return super().__enter__()

    def __exit__(self, *raised):
        self.without.stop()
        return super().__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        if any(at is not None and at.dtype in (torch.bool, torch.uint8) for at in indices):
            raise Waits(f"{name} by a mask")
        if name in self.REFUSED:
            raise Waits(name)
        return func(*args, **(kwargs or {}))


def updated(case: Case) -> dict[str, Tensor]:
    """A case's parameters and states after its updates, and what each update told, [U, 2, K].

    Of a spoilt trial also its parameters as they were when they became infinite.
    """
    parameters, (k, *_) = case.parameters(), (case.spoilt, None)
    update = TensorUpdate.of(parameters, case.tasks, (T, B), **case.given)
    told, before = [], {}
    for number, window in enumerate(case.windows()):
        if k is not None and number == 1:
            for value in parameters.values():
                value[k].view(-1)[:2] = -0.0
            parameters["lstm.weight_hh_l0"][k, 0, 0] = torch.inf
            before = {f"before {name}": value[k].clone() for name, value in parameters.items()}
        if k is not None and number == 2:
            parameters["lstm.weight_hh_l0"][k, 0, 0] = 0.25
        with NoWaiting():
            told.append(update(*window))
    for name, copy in copied(update.copies).items():
        assert torch.equal(copy, copied(product_copies(parameters, case.precision))[name]), name
    s, c = update.state
    return parameters | before | {"s": s, "c": c, "told": torch.stack(told)}


def copied(copies: Copies) -> dict[str, Tensor]:
    """What products take, by name."""
    return copies.layers | {"softmax": torch.stack(copies.softmax)}


def diverged() -> Epoch:
    """An epoch of three trials: one is well, one infinite from the first, one at a mad rate."""
    case = Case((_NONE,) * 3, clip=1e38, updates=WARM_UPS + 2)
    parameters = case.parameters()
    parameters["decoder.bias"][1, 0] = torch.inf
    given = case.given | {"learning_rates": [0.1, 0.1, 1e38]}
    return advance(parameters, case.tasks, case.windows(), **given)


CELLS = tuple(
    toys.ToyCell(
        placement=placement,
        recipe=toys.recipe(epochs=2, batch=B, unroll=T, learning_rate=0.1, init=0.1),
        net=Net(layers=1, hidden=6),
        seed=seed,
        key=f"cell{seed}",
    )
    for seed, placement in enumerate((_NONE, _WORDS))
)

#: Windows of an epoch of the cells.
WINDOWS = 6


def trained(folder: Path) -> dict[str, Outcome]:
    """The outcomes by key of the cells in one cohort, on our own loop on every device."""
    outcomes: dict[str, Outcome] = {}
    train_cohort(
        [Member(cell, folder / cell.key) for cell in CELLS],
        toys.corpus(train=B * (T * WINDOWS + 1), valid=29, test=31),
        on_epoch=lambda member, row: None,
        on_outcome=lambda member, outcome: outcomes.setdefault(member.cell.key, outcome),
    )
    return outcomes


class StoodIn:
    """What a GPU alone has: streams are none, and a replay calls the function again."""

    replays = 0

    @classmethod
    def captured(cls, function: TensorUpdate, inputs: tuple[Tensor, ...]):
        told_2K = torch.zeros(2, len(function.live_K), dtype=torch.float64)

        def replay() -> Tensor:
            cls.replays += 1
            with NoWaiting():
                return told_2K.copy_(function(*inputs))

        return replay

    @classmethod
    def install(cls) -> None:
        graph._aside = lambda device: contextlib.nullcontext()
        graph._captured = cls.captured
        tensor_update.takes_triton = lambda like: True
        plan.FUSED_IS_FASTER = {"cpu": False}
        sgd._counted = lambda words_N: False


def main(path: str, folder: str) -> None:
    """Save the tensors of the cases and the outcomes of the cells; refuses to run compiled."""
    import triton

    assert triton.knobs.runtime.interpret, "this process was to interpret its kernels"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    StoodIn.install()
    made = {name: updated(case) for name, case in CASES.items()}
    made |= {"outcomes": trained(Path(folder)), "replays": StoodIn.replays}
    torch.save(made | {"diverged": diverged()}, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
