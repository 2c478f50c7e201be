"""What the missing trials of a job will take, extrapolated from a few timed updates."""

import math
import operator
from collections.abc import Hashable
from dataclasses import dataclass

from ablate.data.updates import training_updates
from ablate.study.cohorts import Sized, Sizes, time_updates
from ablate.study.job import Job
from ablate.training.cohort_sizes import Probe
from ablate.training.scores import curve_tokens, sample_tokens

# A forward pass alone takes a third of an update: backward costs twice as much as forward.
_FORWARD = 1 / 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the missing trials take: seconds in all, and seconds of an update of each trial.

    Trials that a search will ask for later are among them. `busy` says that other programs ran
    while updates were timed.
    """

    seconds: float
    update: float
    busy: bool = False


def estimate(job: Job, sizes: Sizes) -> Estimate | None:
    """Extrapolate from a few updates of each kind of trial; None where none is missing.

    Kinds that were not measured for their cohorts' size are measured now.
    """
    if not sizes.kinds:
        return None
    counts = [len(kind.entries) for kind in sizes.kinds]
    probes = [_probed(job, kind) for kind in sizes.kinds]
    updates = [_seconds(kind, probe) for kind, probe in zip(sizes.kinds, probes, strict=True)]
    trials = [trial_seconds(job, update) for update in updates]
    shared = sum(map(operator.mul, counts, trials))
    if job.agenda is not None:
        # What is known only when others have ended is like what is known.
        later = job.agenda.total - len(job.entries)
        shared *= 1 + later / sum(counts)
    shared /= len(job.slots)
    # A cohort is on one slot, however many there are.
    longest = max(
        min(kind.size, count) * taken
        for kind, count, taken in zip(sizes.kinds, counts, trials, strict=True)
    )
    mean = sum(map(operator.mul, counts, updates)) / sum(counts)
    return Estimate(max(shared, longest), mean, any(probe.busy for probe in probes))


def seconds_by_kind(job: Job, sizes: Sizes) -> dict[Hashable, float]:
    """Seconds that a trial of each missing kind takes, its share of a cohort's time."""
    return {
        sizes.cohorts.kind(kind.entries[0].trial): trial_seconds(
            job, _seconds(kind, _probed(job, kind))
        )
        for kind in sizes.kinds
    }


def _probed(job: Job, kind: Sized) -> Probe:
    """What was measured for the kind's size, or else is measured now."""
    if kind.measured:
        return Probe(kind.measured, kind.busy)
    return time_updates(job, kind.entries, [_size(kind)])


def _seconds(kind: Sized, probe: Probe) -> float:
    """Seconds an update and trial at the kind's size, or at the measured size next to it."""
    size = _size(kind)
    near = min(probe.seconds, key=lambda other: abs(math.log(other / size)))
    return probe.seconds[near]


def _size(kind: Sized) -> int:
    # A pinned size may be more than there are trials.
    return min(kind.size, len(kind.entries))


def trial_seconds(job: Job, update: float) -> float:
    """Seconds of one trial whose updates take `update` seconds, its evaluations included."""
    recipe, corpus = job.profile.recipe, job.corpus
    updates = training_updates(len(corpus.train), recipe.batch, recipe.unroll)
    window = recipe.evaluation_streams * recipe.unroll
    windows = (curve_tokens(corpus, recipe) + len(corpus.valid)) / window
    # In one stream there is no batch to share a step's cost: a window takes about as long.
    final = (len(corpus.valid) + len(corpus.test)) / recipe.unroll
    # With the weights of the last epoch and of the best one.
    final += 2 * sample_tokens(corpus, recipe) / window
    return update * (recipe.epochs * (updates + _FORWARD * windows) + _FORWARD * final)
