"""How large the cohorts of a run are: pinned, or measured for each kind of its trials."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from ablate.study.cohorts import Cohorts, balanced, inside
from ablate.study.entries import Entry
from ablate.study.job import Job
from ablate.training import sizing


@dataclass(frozen=True, slots=True)
class Sized:
    """The missing trials of one kind and the size of their cohorts.

    `measured` has the seconds an update and trial by size, and is empty where nothing was to be
    found out: the size is pinned, or there is a slot for each trial. Where the machine was `busy`
    the size is not chosen by them.
    """

    entries: tuple[Entry, ...]
    size: int
    measured: Mapping[int, float]
    busy: bool = False

    @property
    def label(self) -> str:
        """The first of its trials' titles."""
        return self.entries[0].title


@dataclass(frozen=True, slots=True)
class Sizes:
    """The cohorts of a run, and what was measured for them.

    `holds` is how many trials the memory of a slot takes; None where that was not asked.
    """

    cohorts: Cohorts
    kinds: tuple[Sized, ...]
    holds: int | None = None


def size_cohorts(job: Job, pinned: int | None = None) -> Sizes:
    """Choose the size of each kind's cohorts: `pinned`, or from memory and a short probe.

    The probe runs updates on the slot's device with the slot's threads, for each kind of which more
    trials are missing than there are slots.
    """
    device, slots = job.slots[0].device, len(job.slots)
    planned = Cohorts(device=device, pinned=pinned)
    kinds = _by_kind(job.missing(), planned)
    if pinned is not None:
        return Sizes(planned, tuple(Sized(tuple(group), pinned, {}) for group in kinds.values()))
    if all(len(group) <= slots for group in kinds.values()):
        return Sizes(planned, tuple(Sized(tuple(group), 1, {}) for group in kinds.values()))
    profile = job.profile
    holds = sizing.fitting(
        max(profile.net.each, key=lambda net: len(net.of_cell.gates)),
        len(job.corpus.vocabulary),
        profile.recipe,
        profile.precision,
        device=device,
        slots=sum(slot.device == device for slot in job.slots),
    )
    most: dict[Hashable, int] = {}
    found = []
    for kind, group in kinds.items():
        sizes = sizing.sizes_to(min(sizing.MOST, holds), -(-len(group) // slots))
        if len(sizes) > 1:
            probe = measure(job, group, sizes)
            most[kind] = sizing.chosen(probe, sizes)
        else:
            probe, most[kind] = sizing.Probe({}), 1
        size = balanced(len(group), slots, most[kind])
        found.append(Sized(tuple(group), size, probe.seconds, probe.busy))
    return Sizes(Cohorts(most, device=device), tuple(found), holds)


def measure(job: Job, entries: Sequence[Entry], sizes: Sequence[int]) -> sizing.Probe:
    """Seconds an update and trial, by the size of a cohort that begins with the first of `entries`.

    Its companions are those that would join it: first who tosses inside the same steps.
    """
    slot, steps = job.slots[0], inside(entries[0].trial)
    trials = sorted((entry.trial for entry in entries), key=lambda trial: inside(trial) != steps)
    return sizing.measure(trials, job.corpus, sizes, device=slot.device, threads=slot.threads)


def _by_kind(entries: Sequence[Entry], cohorts: Cohorts) -> dict[Hashable, list[Entry]]:
    kinds: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        kinds.setdefault(cohorts.kind(entry.trial), []).append(entry)
    return kinds
