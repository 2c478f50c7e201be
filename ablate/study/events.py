"""What passes between the driver and its workers: assignments one way, events the other way.

All of it is plain values and NumPy arrays: a worker may live in another process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ablate.status import Status

if TYPE_CHECKING:
    # A worker sets its threads before anything of torch is imported, and a trial needs torch.
    from ablate.training.trial import Trial

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one worker computes: a device ("cpu", "cuda:0") and its number of CPU threads."""

    device: str
    threads: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """An attempt at a trial, handed to a slot; its checkpoint lies in `folder`.

    It is handed back after the epoch `until`, where that is not its last.
    """

    trial: "Trial"
    attempt: int
    folder: Path
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A worker began the trial."""

    assignment: Assignment
    slot: Slot


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch of the trial ended; `row` is its row of the table `epochs`."""

    assignment: Assignment
    row: Row


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial ended: its columns of `trials`, its `epochs`, and log-probabilities by split."""

    assignment: Assignment
    status: Status
    row: Row
    epochs: list[Row]
    tokens: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Paused:
    """The trial came to its rung: its columns of `trials` and its `epochs` so far."""

    assignment: Assignment
    row: Row
    epochs: list[Row]


@dataclass(frozen=True, slots=True)
class Failed:
    """The trial raised `error`, or, where `died`, its worker is gone.

    `company` counts the trials that failed together, this one included: which of them was at fault
    is not known.
    """

    assignment: Assignment
    error: str
    died: bool
    company: int = 1


@dataclass(frozen=True, slots=True)
class Noted:
    """A warning that a worker raised."""

    text: str


@dataclass(frozen=True, slots=True)
class Progressed:
    """Trials that train together are under way: by key, in which of their epochs, from 1.

    `share` of the epoch, from 0 to 1, is done.
    """

    epochs: Mapping[str, int]
    share: float


@dataclass(frozen=True, slots=True)
class Compiling:
    """The trials of these keys wait while `what` is compiled."""

    keys: tuple[str, ...]
    what: str


#: What a training tells of.
Told = EpochDone | Finished | Paused | Progressed | Compiling
Event = Started | Failed | Noted | Told

#: Hands out the next cohort, trials that train side by side; an empty one where nothing is left.
Pull = Callable[[], Sequence[Assignment]]
Emit = Callable[[Event], None]


class Train(Protocol):
    """Trains a cohort on a slot; must be picklable.

    `emit` takes each trial's epochs and its end, and how far the cohort is; an exception fails all
    that have not ended.
    """

    def __call__(
        self, assignments: Sequence[Assignment], slot: Slot, emit: Callable[[Told], None]
    ) -> None: ...


class Executor(Protocol):
    """Long-lived workers that pull cohorts and send events."""

    def run(self, pull: Pull, emit: Emit) -> None:
        """Run what `pull` hands out until it has nothing more and no worker is busy.

        `pull` and `emit` are called in the caller's process and thread, one call at a time. A trial
        that failed is over: the caller may hand it out again.
        """
        ...
