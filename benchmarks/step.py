"""A step's kernels, derived, against the pair that was written by hand before: CPU time, in turns.

    python benchmarks/step.py

The older pair is read from the repository's history; nothing else runs meanwhile.
"""

import subprocess
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import click
import torch

from ablate.cells import LSTM
from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine import sites
from ablate.engine.sites import Site, site_of
from ablate.engine.step import KernelSpec, kernels

COMMIT: Final = "cbdc579"
SLOTS: Final = {
    "no slot": (),
    "HOLD on CARRY and HIDDEN": (site_of(Edge.CARRY, Fill.HOLD), site_of(Edge.HIDDEN, Fill.HOLD)),
    "five edges": (
        sites.RECURRENT,
        site_of(Edge.UPDATE),
        site_of(Edge.CELL),
        site_of(Edge.CARRY),
        site_of(Edge.HIDDEN),
    ),
}
SIZES: Final = ((1, 20, 650), (4, 20, 200))
_STEPS, _TURNS, _CALLS = 35, 9, 200


def earlier() -> Any:
    """The module that held the kernels written by hand, as it was."""
    path = f"{COMMIT}:ablate/engine/kernels.py"
    source = subprocess.run(
        ["git", "show", path], capture_output=True, text=True, check=True
    ).stdout
    # What it imported has moved, and examples are asked for by device.
    source = source.replace("engine.factors import Site", "engine.slots import Site")
    source = source.replace("lambda: _examples", "lambda device: _examples")
    module = ModuleType("earlier")
    exec(compile(source, path, "exec"), module.__dict__)
    return module


def microseconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_CALLS):
        call()
    return 1e6 * (time.process_time() - began) / _CALLS


def row(old: Any, slots: tuple[Site, ...], dtype: torch.dtype, size: tuple[int, int, int]) -> str:
    """One line: forward and backward, before and now, and how far the gradients lie apart."""
    slots = tuple(sorted(slots))
    trials, batch, hidden = size
    kind = KernelSpec(LSTM, slots, product=dtype)
    new, pair = kernels(kind), old.kernels(old.KernelSpec(slots, product=dtype))
    z_KTBGH = torch.randn(trials, _STEPS, batch, 4, hidden).to(dtype)
    c, s, dc, ds, dh = torch.randn(5, trials, batch, hidden).unbind()
    factors = [(torch.rand(trials, batch, hidden) > 0.3).float() for _ in slots]
    dr, gy = dh.to(dtype), torch.randn(trials, _STEPS, batch, hidden)[:, 3]
    z, rest = (
        (z_KTBGH[:, 3], z_KTBGH[:, 5].contiguous()),
        (torch.randn(trials, 4, hidden), *factors),
    )
    earlier_inputs, inputs = (*z, c, s, *rest), (*z, s, c, *rest)
    saved = pair.forward(*earlier_inputs)[:5]
    kept = new.forward(*inputs)[new.distinct :]
    read = [inputs[place] for place in new.reads]
    held = (ds,) if kind.holds else ()
    before = lambda: pair.backward(gy, dr, ds, dc, *saved, c, *factors)  # noqa: E731
    after = lambda: new.backward(gy, dc, *held, dr, *read, *kept)  # noqa: E731
    apart = max(
        (one.float() - other.float()).abs().max().item()
        for one, other in zip(before(), after(), strict=True)
    )
    calls = (lambda: pair.forward(*earlier_inputs), lambda: new.forward(*inputs), before, after)
    turns = [[microseconds(call) for call in calls] for _ in range(_TURNS)]
    a, b, c_, d = (min(column) for column in zip(*turns, strict=True))
    return (
        f"forward {a:4.0f} -> {b:4.0f} us, backward {c_:4.0f} -> {d:4.0f}, "
        f"together {(b + d) / (a + c_):.2f}; gradients differ by {apart:.0e}"
    )


@click.command()
def main() -> None:
    """Print a line for each kind of step."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    old = earlier()
    for name, slots in SLOTS.items():
        for dtype in (torch.float32, torch.bfloat16):
            for size in SIZES:
                what = f"{name}, {str(dtype).removeprefix('torch.')}, {'x'.join(map(str, size))}"
                click.echo(f"{what:44} {row(old, slots, dtype, size)}")


if __name__ == "__main__":
    main()
