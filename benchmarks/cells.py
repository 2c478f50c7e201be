"""What a layer costs on each path beside torch's own module, cell by cell.

    python benchmarks/cells.py --rounds 9 --out cells.json

Forward and backward of two layers over a window, in turns with `torch.nn`'s module of the same
weights: the engine's looped path and its library path, both silent, and the looped path with one
recurrent mask a window. Processor time of one thread; the machine does nothing else meanwhile.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path as File
from typing import Any, Final

import click
import torch
from torch import Tensor, nn

from ablate.cells import CELLS
from ablate.drops import VARIATIONAL, Drop
from ablate.edges import Edge
from ablate.engine.layers.reference import LayerWeights
from ablate.engine.layers.stack import run_stack
from ablate.engine.plan import Path
from ablate.engine.window import Window
from ablate.placement import Placement

#: Zaremba's small and medium nets: units, steps, rows.
SIZES: Final = {"small": (200, 20, 20), "medium": (650, 35, 20)}
LAYERS: Final = 2
MASK: Final = Placement({Edge.RECURRENT: Drop(0.25, VARIATIONAL)})
MODULES: Final[dict[str, Callable[..., nn.RNNBase]]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "rnn_relu": lambda *sizes, **given: nn.RNN(*sizes, nonlinearity="relu", **given),
}
_WARM: Final = 2


def runs(name: str, hidden: int, steps: int, rows: int) -> dict[str, Callable[[], Any]]:
    """What is timed, by name: a forward and backward pass each."""
    cell, module = CELLS[name], MODULES[name](hidden, hidden, LAYERS)
    weights: Any = module._flat_weights
    layers = [LayerWeights(*weights[4 * layer :][:4]) for layer in range(LAYERS)]
    x_TBD = torch.randn(steps, rows, hidden, requires_grad=True)
    state = tuple(torch.zeros(LAYERS, rows, hidden) for _ in cell.state)
    window = Window(seed=1, update=0, time=steps, batch=rows)
    cotangent = torch.randn(steps, rows, hidden)
    leaves = [x_TBD, *module.parameters()]

    def of_torch() -> Tensor:
        return module(x_TBD, state[0] if len(cell.state) == 1 else state)[0]

    def of_path(path: Path, placement: Placement) -> Callable[[], Tensor]:
        return lambda: run_stack(x_TBD, state, layers, placement, window, path, cell=cell).y_TBX

    made = {
        "torch": of_torch,
        "library": of_path(Path.LIBRARY, Placement()),
        "looped": of_path(Path.LOOPED, Placement()),
        "mask": of_path(Path.LOOPED, MASK),
    }

    def both(run: Callable[[], Tensor]) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(run(), leaves, cotangent)

    return {label: both(run) for label, run in made.items()}


def measured(name: str, size: str, rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each run, round by round."""
    given = runs(name, *SIZES[size])
    taken: dict[str, list[float]] = {label: [] for label in given}
    for number in range(_WARM + rounds):
        for label, run in given.items():
            begun = time.process_time()
            run()
            if number >= _WARM:
                taken[label].append(time.process_time() - begun)
    return taken


@click.command()
@click.option("--rounds", default=9, show_default=True)
@click.option("--cell", "names", multiple=True, type=click.Choice(list(CELLS)), help="All of them.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=File))
def main(rounds: int, names: tuple[str, ...], out: File | None) -> None:
    """Time each cell and print what each path takes, as a ratio to torch's own module."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = {}
    for name in names or CELLS:
        for size in SIZES:
            taken = measured(name, size, rounds)
            middle = {label: statistics.median(own) for label, own in taken.items()}
            found[f"{name} {size}"] = taken
            ratios = (f"{label} {middle[label] / middle['torch']:.2f}" for label in middle)
            click.echo(
                f"{name:9}{size:7} torch {1e3 * middle['torch']:7.1f} ms  {'  '.join(ratios)}"
            )
    if out:
        about = {"torch": torch.__version__, "machine": platform.processor() or platform.machine()}
        out.write_text(json.dumps({"about": about | {"argv": sys.argv[1:]}, "seconds": found}))


if __name__ == "__main__":
    main()
