"""What is drawn and computed twice, eagerly in the test and compiled in a process of its own.

python -m engine.compiled_cases FILE NAME...      saves the tensors of the named cases
"""

import sys
from collections.abc import Callable

import torch
from engine.case import everything, make_case, window_of
from engine.stepping import by_halves, inside, step_case
from torch import Tensor, nn
from torch.func import functional_call
from training import cohorts

import ablate
from ablate.addresses import Address
from ablate.cells import GRU, LSTM, RNN, Cell
from ablate.compiling import can_compile
from ablate.drops import ALL, Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.plan import Mode, Path
from ablate.engine.sites import Site, site_of
from ablate.engine.step import KernelSpec, kernels
from ablate.masks import Coordinates, activation_words, weight_words
from ablate.model.net import Net
from ablate.noise import threshold
from ablate.placement import Placement

_EACH = Sharing(time=1, batch=1, unit=1, gate=1, word=1, update=1)
_HERE = Address(seed=2**32 - 1, edge=Edge.CARRY, layer=3, update=2**32 - 1)
_SIZES = {"time": 7, "batch": 3, "units": 13}


def _kept(address: Address, sharing: Sharing, dtype: torch.dtype = torch.float32) -> Tensor:
    """Multipliers of two trials at a rate of 0.3 and 0.6."""
    at = Coordinates.of([address] * 2, [sharing] * 2, **_SIZES)
    limits = torch.tensor([threshold(0.3), threshold(0.6)])
    scales = torch.tensor([1.0 / 0.7, 1.0], dtype=dtype)
    return at.kept(torch.tensor([address.update, 0]), limits, scales)


def _mask() -> dict[str, Tensor]:
    """One mask in the shape that the kernels below take, and at the limits of its counters."""
    there = Address(seed=1, edge=Edge.INPUT, start=2**30 - 9, batch_offset=2**32 - 5)
    step = Sharing(time=1, batch=1, unit=1, gate=ALL, update=1)
    return {"here": _kept(_HERE, step), "there": _kept(there, step)}


def _words() -> dict[str, Tensor]:
    """Words and masks in other shapes and sharings, each a variant of the compiled code."""
    burst = Sharing(time=3, batch=ALL, unit=5, gate=ALL, update=2)
    weight = Sharing(source=1, unit=1, gate=1, update=1)
    tokens = torch.arange(21).view(7, 3) * 10_007
    turned = tokens.t().contiguous().t()
    return {
        "each": activation_words(_HERE, _EACH, **_SIZES),
        "by word": activation_words(_HERE, _EACH, **_SIZES, tokens_TB=tokens),
        "by word, batch first": activation_words(_HERE, _EACH, **_SIZES, tokens_TB=turned),
        "in bursts": activation_words(_HERE, burst, **_SIZES),
        "of a weight": weight_words(_HERE, weight, sources=9, units=13),
        "other sizes": activation_words(_HERE, _EACH, time=2, batch=5, units=8),
        "kept": _kept(_HERE, burst, torch.float64),
    }


def _kernels(
    placement: Placement,
    mode: Mode = Mode.TRAIN,
    lengths: tuple[int, ...] = (7, 1),
    cell: Cell = LSTM,
) -> Callable[[], dict[str, Tensor]]:
    """Outputs and gradients of one layer, in float32, over windows of these lengths."""

    def run() -> dict[str, Tensor]:
        found = {}
        for steps in lengths:
            case = make_case(1, steps=steps, dtype=torch.float32, cell=cell)
            made = everything(case, placement, window_of(case, mode=mode), Path.LOOPED)
            found |= {f"{name}, T={steps}": value for name, value in made.items()}
        return found

    return run


def _strides() -> dict[str, Tensor]:
    """Calls of modules by arguments and parameters that are views, each in a layout of its own."""
    g = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        """Every second number of memory, with the axes in the opposite order."""
        return torch.randn(*reversed(shape), 2, generator=g)[..., 0].permute(
            *range(len(shape))[::-1]
        )

    words = ablate.Embedding(9, 4, _weight=normal(9, 4), batch_first=True, seed=1)
    words.placement = Placement({Edge.EMBEDDING: Drop(0.3)})
    tokens = torch.randint(9, (3, 7), generator=g)
    gru = ablate.GRU(4, 5, seed=1, placement=Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3)}))
    given = {name: nn.Parameter(normal(*own.shape)) for name, own in gru.named_parameters()}
    y, after = functional_call(gru, given, (normal(7, 3, 4), normal(1, 3, 5)), {"update": 0})
    gradients = torch.autograd.grad((y * normal(7, 3, 5)).sum() + after.sum(), [*given.values()])
    return {
        "words": words(tokens, update=0),
        "masks of words": words.masks(tokens, update=0),
        "y": y,
        "state": after,
        **dict(zip(given, gradients, strict=True)),
    }


def _step(kind: KernelSpec) -> Callable[[], dict[str, Tensor]]:
    """What the kernels of one kind make, and their gradients; sizes are odd, and then even."""

    def run() -> dict[str, Tensor]:
        found = {}
        for sizes in ((3, 5, 19), (1, 4, 32)):
            made, back = by_halves(kernels(kind), *step_case(kind, *sizes))
            found |= {f"{n}, {sizes}": value for n, value in enumerate([*made, *back])}
        return found

    return run


def _update(precision: str = "fp32") -> dict[str, Tensor]:
    """A whole update of three trials in one cohort, and of each of them alone.

    Odd sizes, so that vectors end within rows: the same bits all the same.
    """
    net = Net(layers=1, hidden=13)
    drops = [Placement({Edge.CELL: Drop(rate)}) for rate in (0.2, 0.3, 0.4)]
    plans = cohorts.plans_of(net, drops, precision=precision)
    given = {"updates": [4, 5, 6], "learning_rates": [0.5, 0.4, 0.3], "clips": [1.0, 9.0, 2.0]}
    windows = cohorts.windows_of(29, 7, 3)
    found = {}
    pairs = cohorts.together_and_alone(plans, cohorts.initial(plans, 29), windows, **given)
    for k, (together, alone) in enumerate(pairs):
        found |= {f"{name} {k} in a cohort": value for name, value in together.items()}
        found |= {f"{name} {k} alone": value for name, value in alone.items()}
    return found


_APART = Sharing(gate=1)

CASES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "mask": _mask,
    "update": _update,
    "words": _words,
    "strides": _strides,
    "cell": _kernels(Placement({Edge.CELL: Drop(0.3)}), lengths=(7,)),
    "silent": _kernels(Placement()),
    "gal2016": _kernels(Placement({Edge.INPUT | Edge.RECURRENT: Drop(0.3, _APART)})),
    "zoneout": _kernels(Placement({Edge.HIDDEN | Edge.CARRY: Drop(0.3, fill=Fill.HOLD)})),
    "both-held": _kernels(Placement({Edge.HIDDEN | Edge.RECURRENT: Drop(0.3, fill=Fill.HOLD)})),
    "evaluation": _kernels(
        Placement({Edge.CELL: Drop(0.3, Sharing(time=3)), Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD)}),
        Mode.MEAN,
    ),
    # HOLD beside gates apart, and the gradient of both parts of a GRU's z.
    **{
        cell.name: _kernels(
            Placement(
                {
                    Edge.INPUT | Edge.RECURRENT: Drop(0.3, _APART),
                    Edge.HIDDEN: Drop(0.3, fill=Fill.HOLD),
                }
            ),
            cell=cell,
        )
        for cell in (GRU, RNN)
    },
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


def _of(*sites: Site, cell: Cell = LSTM, **given: object) -> dict[str, KernelSpec]:
    """The kinds of these sites in both precisions, by name."""
    name = "" if cell is LSTM else f"{cell.name}, "
    name += "+".join(site.name for site in sites) or "none"
    name += "".join(f", {what}" for what, value in given.items() if value is True)
    kinds = {torch.float32: name, torch.bfloat16: f"{name}, bf16"}
    return {
        label: KernelSpec(cell, sites, product=product, **given)  # type: ignore[arg-type]
        for product, label in kinds.items()
    }


#: Each site alone, all together, gates apart and together, with a bias and without one.
KINDS: dict[str, KernelSpec] = {
    name: kind
    for kinds in (
        _of(),
        _of(bias=False),
        *(_of(site) for site in inside(LSTM)),
        _of(sites.RECURRENT, apart=True),
        _of(*inside(LSTM)),
        _of(*inside(LSTM), apart=True),
        _of(sites.RECURRENT, sites.STATE_HOLD, site_of(Edge.HIDDEN, Fill.HOLD), apart=True),
        _of(site_of(Edge.CARRY, Fill.HOLD), site_of(Edge.HIDDEN, Fill.HOLD)),
        *(
            _of(*inside(cell), cell=cell, apart=apart, bias=apart)
            for cell, apart in ((GRU, False), (GRU, True), (RNN, False))
        ),
    )
    for name, kind in kinds.items()
}
CASES |= {name: _step(kind) for name, kind in KINDS.items()}


def main(path: str, *names: str) -> None:
    """Save the tensors of the named cases; refuses to run eagerly."""
    assert can_compile(), "this process was to compile its kernels"
    torch.save({name: CASES[name]() for name in names}, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
