"""A place of a cohort: a trial at work, and how far it has come."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from ablate.data.corpora import Corpus
from ablate.data.updates import training_updates
from ablate.engine.plan import alike
from ablate.model.net import Net
from ablate.noise import takes_tensors
from ablate.training.checkpoint import Checkpoint
from ablate.training.recipe import Windows
from ablate.training.trial import Trial
from ablate.training.update import TrialPlan


class CohortKey(NamedTuple):
    """What trials must share to train in one cohort with the results that each has alone.

    Rates of dropout, learning rate, clip, initial weights and headline are each trial's own.
    """

    net: Net
    windows: Windows
    precision: str
    path: Hashable

    @classmethod
    def of(cls, trial: Trial, device: str) -> Self:
        """The key of a trial that trains on the device."""
        net, precision = trial.net, trial.precision
        planned = TrialPlan.planned(net, trial.placement, trial.seed, device, precision=precision)
        # A schedule may evaluate on another path than its placement at the full rates. A cohort on
        # a GPU is captured as a whole or not at all.
        path = (
            planned.evaluate_path,
            device == "cpu" or all(takes_tensors(drop.noise) for drop in trial.placement.values()),
            alike(
                trial.placement,
                net.layers,
                device=device,
                precision=precision,
                cell=net.of_cell,
            ),
        )
        return cls(net, trial.recipe.windows, precision, path)


class Member(NamedTuple):
    """A trial of a cohort; `folder` is where its checkpoint lies.

    It leaves the cohort after the epoch `until`, where that is not its last.
    """

    trial: Trial
    folder: Path
    until: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """A member at work: its state after the last whole epoch, and the most places it shared."""

    member: Member
    planned: TrialPlan
    state: Checkpoint
    started_at: str
    cohort: int = 1

    @property
    def trial(self) -> Trial:
        return self.member.trial

    @property
    def epoch(self) -> int:
        """The epoch that is next or under way, counted from 1."""
        return self.state.epochs + 1

    @property
    def learning_rate(self) -> float:
        """The learning rate of that epoch."""
        return self.trial.recipe.rate_of(self.epoch)


def updates_of(trial: Trial, corpus: Corpus, epochs: int) -> int:
    """The updates of so many epochs."""
    recipe = trial.recipe
    return epochs * training_updates(len(corpus.train), recipe.batch, recipe.unroll)
