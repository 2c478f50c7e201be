"""A place of a cohort: a trial at work, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from ablate.data.corpora import Corpus
from ablate.data.windows import training_updates
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.placement import Placement
from ablate.training.checkpoint import Checkpoint
from ablate.training.recipe import Recipe
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


class Member(NamedTuple):
    """A trial that takes a place of a cohort; `folder` is where its checkpoint lies."""

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
