"""Which trials train together, and how many: cohorts of one kind, balanced over the slots.

How large the cohorts of a kind are is given, or measured by a short probe.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ablate.drops import Fill
from ablate.edges import Edge
from ablate.engine.plan import Reach, plan
from ablate.study.entries import Entry
from ablate.study.job import Job
from ablate.training import cohort_sizes
from ablate.training.cohort import CohortKey
from ablate.training.trial import Trial


@dataclass(frozen=True, slots=True)
class Cohorts:
    """How many trials one worker may train at once.

    `most` has the largest cohort of each kind, any other kind's trials are alone; or all cohorts
    have `pinned` places. `device` is what the trials are planned for.
    """

    most: Mapping[Hashable, int] = field(default_factory=dict)
    pinned: int | None = None
    device: str = "cpu"

    def places(self, kind: Hashable, waiting: int, slots: int) -> int:
        """The size of a kind's cohorts, where `waiting` trials of it are to run on `slots`.

        The fewest rounds that `most` allows, each as full as the others.
        """
        return self.pinned or balanced(waiting, slots, self.most.get(kind, 1))

    def kind(self, trial: Trial) -> Hashable:
        """Trials of equal kind may train together, and alone with the same result."""
        return trial.corpus_digest, CohortKey.of(trial, self.device)

    def formed(self, entries: Sequence[Entry], slots: int) -> Iterator[tuple[Entry, ...]]:
        """The cohorts in which `entries` train on so many slots, in the order in which they train.

        The order of the trials is seed by seed, and within a seed kind by kind. The first that is
        left begins a cohort. It is joined by those that sample inside the same steps, and where
        places are left by others of its kind, each in that order: where a companion samples a mask
        and a trial does not, the trial is multiplied by ones.
        """
        by_key = {entry.trial.key: entry for entry in entries}
        kinds = {key: self.kind(entry.trial) for key, entry in by_key.items()}
        ordered = in_order(entries, kinds)
        places = {
            kind: self.places(kind, count, slots) for kind, count in Counter(kinds.values()).items()
        }
        # Each trial stands in two lines and is passed over in the second: a search among all that
        # wait would take a time that grows with its square.
        lines: defaultdict[Hashable, deque[Entry]] = defaultdict(deque)
        of = {key: ((kinds[key], inside(entry.trial)), kinds[key]) for key, entry in by_key.items()}
        for entry in ordered:
            for line in of[entry.trial.key]:
                lines[line].append(entry)
        taken: set[str] = set()
        for first in ordered:
            if first.trial.key in taken:
                continue
            # Of all that are left it is the first in both of its lines, and joins itself.
            cohort: list[Entry] = []
            for line in of[first.trial.key]:
                while lines[line] and len(cohort) < places[kinds[first.trial.key]]:
                    entry = lines[line].popleft()
                    if entry.trial.key not in taken:
                        taken.add(entry.trial.key)
                        cohort.append(entry)
            yield tuple(cohort)


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


def crowded(job: Job) -> bool:
    """Whether more trials of a kind are missing than there are slots."""
    kinds = _by_kind(job.missing(), Cohorts(device=job.slots[0].device))
    return any(len(group) > len(job.slots) for group in kinds.values())


def size_cohorts(job: Job, pinned: int | None = None) -> Sizes:
    """Choose the size of each kind's cohorts: `pinned`, or from memory and a short probe.

    The probe runs updates on the slot's device with the slot's threads, for each kind with more
    missing trials than there are slots.
    """
    device, slots = job.slots[0].device, len(job.slots)
    planned = Cohorts(device=device, pinned=pinned)
    kinds = _by_kind(job.missing(), planned)
    if pinned is not None:
        return Sizes(planned, tuple(Sized(tuple(group), pinned, {}) for group in kinds.values()))
    if not crowded(job):
        return Sizes(planned, tuple(Sized(tuple(group), 1, {}) for group in kinds.values()))
    profile = job.profile
    holds = cohort_sizes.fitting(
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
        sizes = cohort_sizes.sizes_to(min(cohort_sizes.MOST, holds), -(-len(group) // slots))
        if len(sizes) > 1:
            probe = time_updates(job, group, sizes)
            most[kind] = cohort_sizes.chosen(probe, sizes)
        else:
            probe, most[kind] = cohort_sizes.Probe({}), 1
        size = balanced(len(group), slots, most[kind])
        found.append(Sized(tuple(group), size, probe.seconds, probe.busy))
    return Sizes(Cohorts(most, device=device), tuple(found), holds)


def time_updates(job: Job, entries: Sequence[Entry], sizes: Sequence[int]) -> cohort_sizes.Probe:
    """Seconds an update and trial, by the size of a cohort that begins with the first of `entries`.

    Its companions are those that would join it: first those that sample inside the same steps.
    """
    slot, steps = job.slots[0], inside(entries[0].trial)
    trials = sorted((entry.trial for entry in entries), key=lambda trial: inside(trial) != steps)
    return cohort_sizes.time_cohorts(
        trials, job.corpus, sizes, device=slot.device, threads=slot.threads
    )


def inside(trial: Trial) -> frozenset[tuple[Edge, Fill]]:
    """The edges whose masks the trial samples between two steps, with what they fill in."""
    reaches = plan(trial.placement, trial.net.layers, cell=trial.net.of_cell).reaches
    edges = [reached.edge for reached in reaches if reached.reach is Reach.INSIDE]
    return frozenset((edge, trial.placement[edge].fill) for edge in edges)


def balanced(waiting: int, slots: int, most: int) -> int:
    """The cohort size at which the fewest possible rounds are equally full."""
    waiting = max(1, waiting)
    rounds = -(-waiting // (slots * most))
    return -(-waiting // (slots * rounds))


def in_order(entries: Sequence[Entry], kinds: Mapping[str, Hashable]) -> list[Entry]:
    """Seed by seed as given, and within a seed each kind together; `kinds` are those of the keys.

    The kinds stand in the order in which the entries first name them. The points of searches go
    number by number before that: a run that stops early has tried as much of each.
    """
    seeds = _numbered(entry.trial.seed for entry in entries)
    ranks = _numbered(kinds[entry.trial.key] for entry in entries)
    return sorted(
        entries,
        key=lambda entry: (
            seeds[entry.trial.seed],
            entry.number or 0,
            ranks[kinds[entry.trial.key]],
        ),
    )


def _by_kind(entries: Sequence[Entry], cohorts: Cohorts) -> dict[Hashable, list[Entry]]:
    kinds: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        kinds.setdefault(cohorts.kind(entry.trial), []).append(entry)
    return kinds


def _numbered(values: Iterable[Hashable]) -> dict[Hashable, int]:
    return {value: number for number, value in enumerate(dict.fromkeys(values))}
