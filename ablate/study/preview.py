"""`--dry-run`: the matrix, the engine's plan for each placement, and what it will take."""

import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table

from ablate.data.windows import training_updates
from ablate.engine.plan import Mode, Reach, plan
from ablate.study.entries import Entry
from ablate.study.job import Job
from ablate.study.progress import duration
from ablate.study.sizes import Sized, Sizes, measure
from ablate.training.scores import curve_tokens, sample_tokens
from ablate.training.sizing import Probe
from ablate.training.trial import Trial

# A forward pass alone takes a third of an update: backward costs twice as much as forward.
_FORWARD = 1 / 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the missing trials take: seconds in all, and seconds of an update of each trial.

    `busy` says that other programs ran while updates were timed.
    """

    seconds: float
    update: float
    busy: bool = False


def matrix(job: Job) -> RenderableType:
    """One row for each placement: the seeds that are stored and those that are missing."""
    committed = job.store.whole().committed()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "seeds done", "seeds to run"):
        table.add_column(column, overflow="fold")
    for entries in _by_title(job.entries).values():
        done = [str(e.trial.seed) for e in entries if e.trial.key in committed]
        todo = [str(e.trial.seed) for e in entries if e.trial.key not in committed]
        table.add_row(entries[0].title, " ".join(done) or "-", " ".join(todo) or "-")
    return table


def plans(job: Job) -> Iterator[str]:
    """The paths that training and evaluation take, and why; alike ones once, with all their labels.

    In evaluation, where most are alike, the largest group comes last, as all others.
    """
    for mode in Mode:
        groups: dict[str, list[str]] = {}
        for label, entries in _by_title(job.entries).items():
            groups.setdefault(_plan(entries[0].trial, job.slots[0].device, mode), []).append(label)
        named = {words: ", ".join(labels) for words, labels in groups.items()}
        if mode is Mode.MEAN and len(groups) > 1:
            most = max(groups, key=lambda words: len(groups[words]))
            named.pop(most)
            named[most] = "all others"
        yield mode.value
        yield from (f"  {labels}: {words}" for words, labels in named.items())


def _plan(trial: Trial, device: str, mode: Mode) -> str:
    """Path and reason, and what each edge does there, edges of one reason together."""
    planned = plan(
        trial.placement,
        trial.net.layers,
        device=device,
        mode=mode,
        precision=trial.precision,
        cell=trial.net.of_cell,
    )
    edges: dict[str, list[str]] = {}
    for reached in planned.reaches:
        if reached.reach is not Reach.SILENT:
            name = reached.edge.label
            edges.setdefault(reached.reason.removeprefix(f"{name} "), []).append(name)
    sentences = (
        f"{', '.join(names)}: each {does}" if len(names) > 1 else f"{names[0]} {does}"
        for does, names in edges.items()
    )
    return " ".join([f"{planned.path.value}. {planned.reason}", *sentences])


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
    shared = sum(map(operator.mul, counts, trials)) / len(job.slots)
    # A cohort is on one slot, however many there are.
    longest = max(
        min(kind.size, count) * taken
        for kind, count, taken in zip(sizes.kinds, counts, trials, strict=True)
    )
    mean = sum(map(operator.mul, counts, updates)) / sum(counts)
    return Estimate(max(shared, longest), mean, any(probe.busy for probe in probes))


def _probed(job: Job, kind: Sized) -> Probe:
    """What was measured for the kind's size, or else is measured now."""
    if kind.measured:
        return Probe(kind.measured, kind.busy)
    return measure(job, kind.entries, [_size(kind)])


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


def words(found: Estimate, slots: int) -> str:
    """The estimate in a sentence."""
    return (
        f"about {duration(found.seconds)} on {slots} slot(s): {1000 * found.update:.3g} ms an "
        "update and trial, measured for each kind; starting up and compiling come on top"
        + ("; the machine was busy meanwhile, so that it may take far less" if found.busy else "")
    )


def _by_title(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        rows.setdefault(entry.title, []).append(entry)
    return rows
