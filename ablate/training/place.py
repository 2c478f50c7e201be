"""A place of a cohort: a trial at work, and how far it has come."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import torch

from ablate.data.corpora import Corpus
from ablate.data.windows import training_updates
from ablate.engine.plan import alike
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.noise import takes_tensors
from ablate.placement import Placement
from ablate.training.checkpoint import Checkpoint
from ablate.training.recipe import Recipe, Windows
from ablate.training.update import Task


class Cell(Protocol):
    """What training needs of a cell of the matrix."""

    @property
    def key(self) -> str: ...
    @property
    def net(self) -> Net: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def seed(self) -> int: ...
    @property
    def precision(self) -> str: ...


class CohortKind(NamedTuple):
    """What trials must share to train in one cohort with the results that each has alone.

    Rates of dropout, learning rate, clip, initial weights and headline are each trial's own.
    """

    net: Net
    windows: Windows
    precision: str
    path: Hashable

    @classmethod
    def of(cls, cell: Cell, device: str) -> Self:
        """The kind of a cell whose trial trains on the device."""
        net, precision = cell.net, cell.precision
        task = Task.planned(net, cell.placement, cell.seed, device, precision=precision)
        # A schedule may evaluate on another path than its placement at the full rates. A cohort on
        # a GPU is captured as a whole or not at all.
        path = (
            task.evaluate_path,
            device == "cpu" or all(takes_tensors(drop.noise) for drop in cell.placement.values()),
            alike(
                cell.placement,
                net.layers,
                device=device,
                precision=precision,
                cell=net.of_cell,
            ),
        )
        return cls(net, cell.recipe.windows, precision, path)


class Member(NamedTuple):
    """A trial of a cohort; `folder` is where its checkpoint lies."""

    cell: Cell
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A member at work: its state after the last whole epoch, and the most places it shared."""

    member: Member
    task: Task
    state: Checkpoint
    started_at: str
    cohort: int = 1

    @property
    def cell(self) -> Cell:
        return self.member.cell

    @property
    def epoch(self) -> int:
        """The epoch that is next or under way, counted from 1."""
        return self.state.epochs + 1

    @property
    def learning_rate(self) -> float:
        """The rate of learning of that epoch."""
        return self.cell.recipe.rate_of(self.epoch)


def updates_of(cell: Cell, corpus: Corpus, epochs: int) -> int:
    """The updates of so many epochs."""
    recipe = cell.recipe
    return epochs * training_updates(len(corpus.train), recipe.batch, recipe.unroll)


def stacked(trials: Sequence[Parameters]) -> Parameters:
    """Parameters side by side, K in front."""
    return {name: torch.stack([trial[name] for trial in trials]) for name in trials[0]}
