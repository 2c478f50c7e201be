"""From what a user asks for to what is to be done: study, profile, corpus, trials, store, slots."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablate.data import Corpus
from ablate.machine import cores, gpus
from ablate.store import Store
from ablate.store.about import About, refuse_other
from ablate.store.files import refuse_file
from ablate.strategies.plugins import PluginFile, load_file
from ablate.study.changes import change, read_settings, select
from ablate.study.entries import Entry, enumerate_trials, first_names
from ablate.study.events import Executor, Slot
from ablate.study.executors import InProcess, Local
from ablate.study.file import Study, find_study, require_fit
from ablate.study.listed import Listed
from ablate.study.precision import Settled, measured, of_store
from ablate.study.schema import Profile
from ablate.study.slots import Threads, divide, named_threads
from ablate.study.tuning import Agenda, ended_of
from ablate.study.worker import train_assignments
from ablate.training.fastest_precision import fastest_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What `ablate run` was asked for; None and empty mean what the study file says.

    `settings` are texts such as `recipe.epochs=3`, `changes` the same as values; `data` is a folder
    in place of the profile's corpus; `slots` is how many trials run at once, 0 in this very
    process, each on so many `threads`; `plugins` are files of strategies beyond those that the
    study names.
    """

    study: str
    profile: str | None = None
    strategies: tuple[str, ...] = ()
    seeds: int | None = None
    settings: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    results: Path = Path("results")
    slots: int | None = None
    threads: int | None = None
    device: str | None = None
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One profile of a study, ready to run: its entries, its store, its slots.

    `settled` says why the profile's precision is what it is, where the study leaves that open.
    `about` is what the store keeps of the study file, `listed` what the file lists, whatever of it
    is asked for. `threads` says who named the threads of the slots.
    `agenda` tells what is to be trained once the entries have ended.
    """

    study: Study
    path: Path
    profile_name: str
    profile: Profile
    corpus: Corpus
    entries: tuple[Entry, ...]
    store: Store
    slots: tuple[Slot, ...]
    in_process: bool
    about: About
    listed: Listed
    plugins: tuple[PluginFile, ...] = ()
    settled: Settled | None = None
    threads: Threads | None = None
    agenda: Agenda | None = None

    def missing(self) -> list[Entry]:
        """The trials that the store does not hold, each under the first of its names."""
        ended = ended_of(self.store.whole(), pruned=self.prunes)
        return [e for key, e in first_names(self.entries).items() if key not in ended]

    @property
    def prunes(self) -> bool:
        """Whether its searches stop trials early."""
        return _prunes(self.profile)

    def executor(self) -> Executor:
        """The executor on which this job's trials run."""
        if self.in_process:
            return InProcess(train_assignments, self.slots[0])
        return Local(train_assignments, self.slots, self.plugins)

    def elsewhere(self) -> str | None:
        """The next profile of the study file that has another corpus or net; None without one."""
        profiles, own = self.study.profiles, self.study.profiles[self.profile_name]
        later = [*profiles][[*profiles].index(self.profile_name) + 1 :]
        where = own.corpus, own.net
        differ = (n for n in later if (profiles[n].corpus, profiles[n].net) != where)
        return next(differ, None)


def prepare(order: Order) -> Job:
    """Read and check everything that `order` names, and enumerate its trials.

    Raises AblateError for whatever cannot be done, before anything is written.
    """
    # Before the study, whose strategies may be theirs.
    plugins = [load_file(path) for path in order.plugins]
    study, path = find_study(order.study)
    name = study.default_profile if order.profile is None else order.profile
    listed = Listed.of(study.profile(name))
    changes = _changes(order)
    # Of what is chosen alone: a file's other placements may have no place in another cell.
    study = change(study, name, changes, fit=False)
    profile = study.profile(name)
    if order.strategies:
        profile = select(profile, order.strategies)
    set_to = ", ".join(f"{key}={value}" for key, value in changes.items())
    require_fit(profile, f"study '{study.name}'" + (f" with {set_to}" if set_to else ""))
    threads = named_threads(order.threads)
    slots = _slots(order, threads.count if threads else None)
    corpus = study.corpus_path(name).load(profile.corpus, profile.text)
    store = Store.of(order.results, study.name, name)
    refuse_file(store.folder)
    about = About.of(path, study.question)
    refuse_other(store.about(), about, store.folder)
    settled = None
    if profile.precision == "auto":
        settled = of_store(profile, corpus.digest, store) or measured(
            fastest_precision(slots[0].device, slots[0].threads)
        )
        profile = profile.model_copy(update={"precision": settled.precision})
    agenda, entries = None, ()
    if profile.tune is None:
        entries = tuple(enumerate_trials(profile, corpus))
    else:
        agenda = Agenda(profile, corpus, f"{study.name}/{name}")
        entries = tuple(agenda(ended_of(store.whole(), pruned=_prunes(profile))))
    return Job(
        study=study,
        path=path,
        profile_name=name,
        profile=profile,
        corpus=corpus,
        entries=entries,
        store=store,
        slots=slots,
        in_process=order.slots == 0,
        plugins=tuple(dict.fromkeys([*plugins, *study.plugins])),
        settled=settled,
        about=about,
        listed=listed,
        threads=threads,
        agenda=agenda,
    )


def _prunes(profile: Profile) -> bool:
    return profile.tune is not None and profile.tune.prune != "none"


def _changes(order: Order) -> Mapping[str, Any]:
    changes = {**order.changes, **read_settings(order.settings)}
    if order.seeds is not None:
        changes["seeds"] = order.seeds
    if order.data is not None:
        changes["corpus"] = order.data
    return changes


def _slots(order: Order, threads: int | None) -> tuple[Slot, ...]:
    device = order.device or ("cuda" if gpus() else "cpu")
    if order.slots == 0:
        return (Slot(divide(device, 1)[0].device, threads or cores()),)
    return divide(device, order.slots, threads=threads)
