"""From what was asked for to trials in the store, said step by step."""

from dataclasses import dataclass

from rich.console import Console

from ablate.console import say
from ablate.study import driver, estimate, messages, progress
from ablate.study.cohorts import Sizes, size_cohorts
from ablate.study.driver import Summary
from ablate.study.hours import Hours
from ablate.study.job import Job, Order, prepare
from ablate.study.rungs import Rungs


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is about to run, and in which cohorts."""

    job: Job
    sizes: Sizes


def begin(order: Order, console: Console, *, cohort: int | None = None) -> Prepared:
    """Read and check what `order` names, and choose cohorts: of `cohort` trials, or by a probe.

    Raises AblateError as `prepare` does, before anything is written.
    """
    job = prepare(order)
    say(console, messages.introduction(job))
    for line in messages.probing(job, cohort):
        progress.say(console, line)
    sizes = size_cohorts(job, cohort)
    say(console, messages.cohorts(sizes))
    return Prepared(job, sizes)


def preview(prepared: Prepared, console: Console) -> None:
    """Show the matrix, each plan and an estimate."""
    job = prepared.job
    console.print()
    console.print(messages.matrix(job))
    console.print()
    say(console, messages.plans(job))
    console.print()
    found = estimate.estimate(job, prepared.sizes)
    say(console, [messages.expected(found, len(job.slots)) if found else "nothing is left to run"])


def train(prepared: Prepared, console: Console, *, hours: float | None = None) -> Summary:
    """Train what is missing, or what of it ends within so many hours."""
    job, cohorts = prepared.job, prepared.sizes.cohorts
    limit = None
    if hours is not None:
        limit = Hours(hours, estimate.seconds_by_kind(job, prepared.sizes), cohorts.kind)
    for line in messages.starting(job, prepared.sizes):
        progress.say(console, line)
    summary = driver.run(
        job.entries,
        job.store,
        job.executor(),
        slots=len(job.slots),
        console=console,
        cohorts=cohorts,
        about=job.about,
        listed=job.listed,
        agenda=job.agenda,
        foreseen=job.agenda.total if job.agenda else 0,
        hours=limit,
        rungs=Rungs(job.profile.tune.prune) if job.profile.tune else Rungs(),
    )
    say(console, messages.conclusion(job, summary))
    return summary
