"""What `ablate run` says before, with `--dry-run`, and after: lines, which nothing here prints."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType

from ablate.commands import command
from ablate.engine.plan import Mode, Reach, plan
from ablate.errors import quoted
from ablate.machine import cores, gpus
from ablate.quantities import duration
from ablate.strategies import STRATEGIES
from ablate.study.cohorts import Sized, Sizes, crowded
from ablate.study.driver import Summary
from ablate.study.entries import Entry, first_names, without_effect, without_place
from ablate.study.estimate import Estimate
from ablate.study.job import Job
from ablate.study.schema import Profile
from ablate.study.tuning import searches
from ablate.tables import plain_table
from ablate.training.cohort_sizes import MODEST
from ablate.training.trial import Trial


def introduction(job: Job) -> Iterator[str]:
    """What is about to be done, as it was understood."""
    corpus, slots = job.corpus, job.slots
    yield f"study {job.study.name} from {job.path}, profile {job.profile_name}"
    for plugin in job.plugins:
        brought = ", ".join(STRATEGIES.of_module(plugin.module))
        yield f"plugin {plugin.text} from {plugin.path}: {brought}"
    yield f"question: {job.study.question}"
    yield (
        f"corpus {corpus.name}: {len(corpus.vocabulary):,} types, "
        f"{len(corpus.train):,} / {len(corpus.valid):,} / {len(corpus.test):,} tokens"
    )
    yield from about_corpus(job)
    yield from about_edges(job.profile)
    yield _precision(job)
    devices = ", ".join(dict.fromkeys(slot.device for slot in slots))
    where = "in this process" if job.in_process else f"{len(slots)} slot(s)"
    yield f"{where} on {devices}, {slots[0].threads} thread(s) each{_threads(job)}"
    yield from about_searches(job)
    trials = first_names(job.entries)
    missing = {entry.trial.key for entry in job.missing()}
    begun = len(missing & set(job.store.checkpointed()))
    yield (
        f"{len(trials)} trials: {len(trials) - len(missing)} done, {len(missing)} to run"
        + (f" ({begun} from the last saved epoch)" if begun else "")
        + f"; results in {job.store.folder}"
    )
    elsewhere = job.elsewhere()
    if elsewhere and gpus():
        profile = job.study.profile(elsewhere)
        nets = ", ".join(
            f"{net.of_cell.title} {net.layers} x {net.hidden}" for net in profile.net.each
        )
        yield (
            f"a GPU was found: `{run_command(job, elsewhere)}` is this study on "
            f"{profile.corpus} with {nets}; add --dry-run to see what it takes"
        )


def about_searches(job: Job) -> Iterator[str]:
    """What each strategy of a tuned profile gets; nothing for any other profile."""
    tune = job.profile.tune
    if tune is None or job.agenda is None:
        return
    over = "".join(f", {path} in [{low:g}, {high:g}]" for path, (low, high) in tune.over.items())
    drawn = searches(job.profile)
    fewer = " (one where nothing is drawn)" if any(s.count < tune.trials for s in drawn) else ""
    yield (
        f"{len(drawn)} search(es) of {tune.trials} point(s){fewer} by {tune.sampler}{over}, on "
        f"seed {tune.seed}; then the point that each chose on {tune.then} further seed(s); "
        f"{job.agenda.total} trials in all, of which some are known only when others have ended"
    )


def probing(job: Job, pinned: int | None) -> Iterator[str]:
    """What happens before `cohorts` can be said; nothing where it takes no time."""
    if pinned is None and crowded(job):
        yield (
            "timing a few updates of each kind of trial, to choose how many train at once; where "
            "kernels are compiled, their first use takes up to a minute"
        )


def about_corpus(job: Job) -> Iterator[str]:
    """How the corpus was read, and what in it bears on perplexity; warnings with their mend."""
    if changed := job.corpus.text.changed():
        options = ", ".join(f"{name} = {json.dumps(value)}" for name, value in changed.items())
        yield f"text: {options}"
    hidden = job.study.corpus_path(job.profile_name).hidden_folder(job.profile.corpus)
    if hidden:
        yield f"warning: {hidden}"
    for note in job.corpus.notes:
        yield f"warning: {note.sentence}" if note.warns else note.sentence


def about_edges(profile: Profile) -> Iterator[str]:
    """Which points drop at edges that the net does not have, or leave out what does not drop."""
    layers = profile.net.layers
    net = f"a net of {layers} layer{'' if layers == 1 else 's'}"
    for (edges, others), labels in without_place(profile).items():
        drop, whose = ("drops", "its") if len(labels) == 1 else ("drop", "their")
        if others:
            yield f"{quoted(labels)} {drop} at {edges.label} too, which has no place in {net}"
        else:
            yield (
                f"warning: {quoted(labels)} {drop} at {edges.label} alone, which has no place in "
                f"{net}: nothing is dropped, and {whose} trials are those of 'none'; give the net "
                f"two layers (`--set net.layers=2`), or leave {edges.label} out"
            )
    for others, labels in without_effect(profile).items():
        which, whose = ("leaves", "its") if len(labels) == 1 else ("leave", "their")
        if others:
            yield (
                f"warning: {quoted(labels)} {which} out nothing that drops in the net: {whose} "
                "numbers are those of the whole"
            )
        else:
            yield f"{quoted(labels)} {which} out all that drops: {whose} trials are those of 'none'"


def cohorts(sizes: Sizes) -> Iterator[str]:
    """How many trials train together, and the numbers behind that; nothing where none is left."""
    if not sizes.kinds:
        return
    if sizes.cohorts.pinned is not None:
        yield f"cohorts: {sizes.cohorts.pinned} trial(s) at once in each slot, as asked"
    elif sizes.holds is None:
        yield "cohorts: each trial alone, since there is a slot for each of its kind"
    else:
        yield from (f"cohorts: {_sized(kind, sizes.holds)}" for kind in sizes.kinds)
        if any(kind.busy for kind in sizes.kinds):
            yield (
                "warning: the machine is busy, at the second try too, so that these timings say "
                f"little: where it was, up to {MODEST} are trained at once, whatever was measured; "
                "`--cohort N` sets it"
            )


def starting(job: Job, sizes: Sizes) -> Iterator[str]:
    """What happens until the first epoch, in silence else; nothing where all is done."""
    slots = len(job.slots)
    waiting = len([*sizes.cohorts.formed(job.missing(), slots)])
    if waiting:
        count = min(waiting, slots)
        begin = "training in this process" if job.in_process else f"starting {count} worker(s)"
        yield f"{begin}; where kernels are compiled, their first use takes up to a minute"


def matrix(job: Job) -> RenderableType:
    """One row for each placement: the seeds that are stored and those that are missing."""
    missing = {entry.trial.key for entry in job.missing()}
    table = plain_table()
    for column in ("trial", "seeds done", "seeds to run"):
        table.add_column(column, overflow="fold")
    for entries in _by_title(job.entries).values():
        done = [str(e.trial.seed) for e in entries if e.trial.key not in missing]
        todo = [str(e.trial.seed) for e in entries if e.trial.key in missing]
        table.add_row(entries[0].title, " ".join(done) or "-", " ".join(todo) or "-")
    return table


def plans(job: Job) -> Iterator[str]:
    """The paths that training and evaluation take, and why; equal ones once, with all their labels.

    In evaluation, where most are equal, the largest group comes last, as all others.
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


def expected(found: Estimate, slots: int) -> str:
    """The estimate in a sentence."""
    return (
        f"about {duration(found.seconds)} on {slots} slot(s): {1000 * found.update:.3g} ms an "
        "update and trial, measured for each kind; starting up and compiling come on top"
        + ("; the machine was busy meanwhile, so that it may take far less" if found.busy else "")
    )


def conclusion(job: Job, summary: Summary) -> Iterator[str]:
    """What was done, what failed, and what to do next."""
    diverged = f", {summary.diverged} of them diverged" if summary.diverged else ""
    failed = f", {len(summary.failures)} failed" if summary.failures else ""
    pruned = f", {summary.pruned} stopped at a rung" if summary.pruned else ""
    yield f"{summary.trained} trial(s) trained{diverged}{pruned}{failed}"
    for failure in summary.failures:
        yield f"  {failure.name}: {failure.error.splitlines()[-1]}"
    if summary.failures:
        yield (
            f"the whole of each error is in column `error` of {job.store.folder / 'trials'}; the "
            "same command tries these trials again"
        )
    if summary.left:
        yield (
            f"{summary.left} trial(s) were not begun, since they would not have ended in time; "
            f"the same command without --hours goes on"
        )
    yield f"next: `{report_command(job)}`"


def run_command(job: Job, profile: str) -> str:
    """The command that runs another profile of this job's study, into the same results folder."""
    own = [plugin for plugin in job.plugins if plugin not in job.study.plugins]
    brought = [word for plugin in own for word in ("--plugin", plugin.path)]
    return command("run", *brought, study=job.about.name, profile=profile, results=_results(job))


def report_command(job: Job) -> str:
    """The command that reports this job's results, which have the name of the study."""
    return command("report", study=job.study.name, profile=job.profile_name, results=_results(job))


def _results(job: Job) -> Path:
    return job.store.folder.parent.parent


def _sized(kind: Sized, holds: int) -> str:
    of = f"{kind.size} at once of {len(kind.entries)} trial(s) such as '{kind.label}'"
    if not kind.measured:
        return of
    taken = ", ".join(f"{1e3 * seconds:.3g}" for seconds in kind.measured.values())
    at = ", ".join(map(str, kind.measured))
    busy = " on a busy machine" if kind.busy else ""
    return f"{of}: {taken} ms an update and trial at {at}{busy}; a slot's memory holds {holds}"


def _threads(job: Job) -> str:
    """Who named the threads of a slot, and how many cores there are where they ask for more."""
    if job.threads is None:
        return ""
    asked, have = len(job.slots) * job.threads.count, cores()
    more = f"; that is {asked} on {have} core(s)" if asked > have else ""
    return f" ({job.threads.source}{more})"


def _precision(job: Job) -> str:
    given = f"precision: {job.profile.precision}"
    return given if job.settled is None else f"{given} (auto: {job.settled.reason})"


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


def _by_title(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    rows: dict[str, list[Entry]] = {}
    for entry in entries:
        rows.setdefault(entry.title, []).append(entry)
    return rows
