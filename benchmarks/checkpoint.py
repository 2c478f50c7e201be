"""A checkpoint at 2 x 650 with 10,000 words: bytes, seconds, and how long training waits for it.

    python benchmarks/checkpoint.py FOLDER

`best apart` holds a second set of weights, as every checkpoint did before best weights that are the
last ones were saved once.
"""

import statistics
import time
from pathlib import Path

import click

from ablate.model.net import Net
from ablate.model.parameters import initial_parameters
from ablate.training.checkpoint import NAME, Checkpoint, Writer

_TURNS = 7


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Print a line for either kind."""
    last = initial_parameters(Net(layers=2, hidden=650), 10_000, seed=1, radius=0.05)
    apart = {name: value.clone() for name, value in last.items()}
    for words, best in (("best apart", apart), ("best is the last", last)):
        state, written, waited = Checkpoint("k", last, best), list[float](), list[float]()
        with Writer() as writer:
            for _ in range(_TURNS):
                began = time.perf_counter()
                writer.save(folder, state)
                waited.append(time.perf_counter() - began)
                writer.wait(folder)
                written.append(time.perf_counter() - began)
        size = (folder / NAME).stat().st_size
        click.echo(
            f"{words:17} {size:,} bytes, {statistics.median(written):.3f} s until it is written, "
            f"of which training waits {1e3 * statistics.median(waited):.2f} ms"
        )


if __name__ == "__main__":
    main()
