"""Small matrices of trials for the tests of what runs them."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

from fake_training import Fake
from rich.console import Console

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.store import Store
from ablate.study.cohorts import Cohorts
from ablate.study.driver import Summary, run
from ablate.study.entries import Entry
from ablate.study.events import Slot
from ablate.study.executors import InProcess, Local
from ablate.training.recipe import Recipe
from ablate.training.trial import Trial

SLOT = Slot("cpu", 1)
RECIPE = Recipe(
    unroll=5, batch=2, learning_rate=1.0, epochs=3, hold=2, divide=2.0, clip=5.0, init=0.1
)


def entries(seeds: Iterable[int], rates: Iterable[float] = (0.5,)) -> list[Entry]:
    """Dropout on INPUT at each rate, seeds outermost."""
    return [
        Entry(
            trial=Trial(
                corpus="toy",
                corpus_digest="d1",
                net=Net(layers=1, hidden=4),
                recipe=RECIPE,
                placement=Placement({Edge.INPUT: Drop(rate)}),
                seed=seed,
            ),
            strategy="input",
            arguments={"rate": rate},
            label=f"input {rate}",
            dial="rate",
            dial_value=rate,
            baseline=False,
            position=position,
        )
        for seed in seeds
        for position, rate in enumerate(rates)
    ]


def fill(
    store: Store,
    wanted: list[Entry],
    fake: Fake | None = None,
    *,
    slots: int = 0,
    cohort: int | None = None,
) -> tuple[Summary, list[str]]:
    """Run the matrix with a fake trainer; return the summary and the lines that were printed."""
    console = Console(record=True, width=200, file=io.StringIO())
    fake = fake or Fake()
    executor = Local(fake, (SLOT,) * slots) if slots else InProcess(fake, SLOT)
    summary = run(
        wanted,
        store,
        executor,
        slots=max(1, slots),
        console=console,
        cohorts=Cohorts(pinned=cohort),
    )
    return summary, without_clock(console.export_text())


def without_clock(text: str) -> list[str]:
    """The lines of a run's log, each of which begins with the time of day."""
    lines = text.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    return [line[9:] for line in lines]


def new_store(folder: Path) -> Store:
    """An empty store below `folder`."""
    return Store.of(folder, "study", "quick")
