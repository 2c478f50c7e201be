"""Entries: what is trained, each under a key that says all of it and nothing else.

A trial's names (strategy, arguments, label) are no part of it: two names for one placement are two
entries with one trial, which is trained once and shown under both.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from ablate.addresses import LIMITS, check_types
from ablate.cells import LSTM
from ablate.data.corpora import Corpus
from ablate.data.updates import training_updates
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.facts import canonical_json, facts_text
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.store import Row, Store
from ablate.store.store import combination_of
from ablate.strategies.parameters import Value
from ablate.study.listed import Listed
from ablate.study.points import Point
from ablate.study.schema import Profile
from ablate.training.recipe import Recipe
from ablate.training.trial import Trial


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial under one of its names.

    `arguments` are all that its point is called by beside the strategy (`Point.facts`).
    `baseline` says that differences are to it; `position` counts the points in the file's order;
    `plugin` is the strategy's, with its version, where it has one.
    `shared` is the recipe of the whole table, where a point changes it.
    `stage` (`ablate.stages`) says what the trial is there for where it is part of a plan. `search`
    names the search, `number` is the point's in it, counted from 0, the default point, and
    `sampler` what drew it.
    """

    trial: Trial
    strategy: str
    arguments: dict[str, Value]
    label: str
    dial: str | None
    dial_value: float | None
    baseline: bool
    position: int
    plugin: str | None = None
    stage: str | None = None
    search: str | None = None
    number: int | None = None
    sampler: str | None = None
    shared: Recipe | None = None

    @property
    def title(self) -> str:
        """The label, and the cell in front where it is no LSTM: `gru recurrent .25`."""
        return _title(self.label, self.trial.net)

    @property
    def name(self) -> str:
        """The words under which the trial is shown: its title and its seed."""
        return f"{self.title}, seed {self.trial.seed}"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes the entries of a profile on a corpus, and checks each placement in each net.

    The profile's precision is settled: "auto" is a ValueError, because a key says what was trained.
    """

    profile: Profile
    corpus: Corpus

    def __post_init__(self) -> None:
        if self.profile.precision == "auto":
            raise ValueError("precision is still 'auto'; settle it before trials are enumerated")

    def entry(self, point: Point, net: Net, seed: int, position: int) -> Entry:
        """The trial of a point in a net with a seed, under the point's name.

        Raises AblateError for a corpus with less than one training window or with more words than
        masks have addresses for, for a placement that does not fit the net, and for a plugin's
        noise or schedule that does not do what it should.
        """
        corpus, recipe = self.corpus, self.profile.recipe.of(net)
        updates = recipe.epochs * training_updates(len(corpus.train), recipe.batch, recipe.unroll)
        placement = point.place(net.of_cell)
        placement.check(net.layers, net.of_cell)
        _check(placement, net.layers, updates)
        _check_words(placement, point.label, corpus)
        return Entry(
            trial=Trial(
                corpus=corpus.name,
                corpus_digest=corpus.digest,
                net=net,
                recipe=point.recipe(recipe),
                placement=_in_net(placement, net),
                seed=seed,
                precision=self.profile.precision,
                text=corpus.text,
                folder=corpus.folder,
            ),
            strategy=point.strategy.name,
            arguments=point.facts,
            label=point.label,
            dial=point.strategy.dial,
            dial_value=point.dial_value,
            baseline=point.label == self.profile.baseline,
            position=position,
            plugin=point.strategy.plugin,
        )


def enumerate_trials(profile: Profile, corpus: Corpus) -> list[Entry]:
    """Return every entry of `profile` on `corpus`: seed by seed, net by net, in the file's order.

    The seeds are outermost: a run that stops early has about as many trials of each placement.
    Raises AblateError as `Maker.entry` does.
    """
    maker = Maker(profile, corpus)
    first, *others = profile.seeds
    known = [
        replace(maker.entry(point, net, first, position), stage=stage)
        for net in profile.net.each
        for position, (point, stage) in enumerate(profile.points)
    ]
    later = [_with_seed(entry, seed) for seed in others for entry in known]
    return [*known, *later]


def _with_seed(entry: Entry, seed: int) -> Entry:
    return replace(entry, trial=replace(entry.trial, seed=seed))


def without_place(profile: Profile) -> dict[tuple[Edge, bool], list[str]]:
    """The labels of points that drop at edges which the profile's net lacks.

    By those edges, and by whether the point drops at others too.
    """
    found: dict[tuple[Edge, bool], list[str]] = {}
    net = profile.net.each[0]  # They have one depth.
    for point, _ in profile.points:
        placement = point.place(net.of_cell)
        left = placement.within(net.layers)
        if nowhere := placement.edges & ~left.edges:
            found.setdefault((nowhere, len(left) > 0), []).append(point.label)
    return found


def without_effect(profile: Profile) -> dict[bool, list[str]]:
    """The titles of points that leave out what their net's placement does not drop, or all of it.

    By whether anything of the placement is left.
    """
    found: dict[bool, list[str]] = {}
    for net, (point, _) in itertools.product(profile.net.each, profile.points):
        if not point.without:
            continue
        left, whole = (
            each.place(net.of_cell).within(net.layers)
            for each in (point, replace(point, without=Edge(0)))
        )
        if left == whole or not left:
            found.setdefault(len(left) > 0, []).append(_title(point.label, net))
    return found


def _title(label: str, net: Net) -> str:
    return label if net.cell == LSTM.name else f"{net.cell} {label}"


def first_names(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The distinct trials in their order, each under the first of its names."""
    trials: dict[str, Entry] = {}
    for entry in entries:
        trials.setdefault(entry.trial.key, entry)
    return trials


def register(entries: Sequence[Entry], store: Store, listed: Listed | None = None) -> None:
    """Write the names of `entries` into `store`, and set aside those of their earlier versions.

    A strategy at its arguments, and a label, have in one combination one placement at every seed: a
    seed that is not among `entries` keeps its name where its trial is of that placement, gets it
    back where an edit was undone, and loses it otherwise. Names that nobody asked for stay.

    `listed` is what the study file lists now: in the combinations of `entries`, each name is asked
    for by the file or, from now on, not. Without it, names keep what they are.
    """
    rows = name_rows(entries)
    asked = {_point(row): entry for row, entry in zip(rows, entries, strict=True)}
    labelled = {_labelled(row): entry for row, entry in zip(rows, entries, strict=True)}
    named = {(row["key"], *_point(row)) for row in rows}
    kept: list[Entry] = []
    earlier: list[Row] = []
    for row in [*store.cells().to_pylist(), *store.earlier().to_pylist()]:
        own = asked.get(_point(row))
        entry = own or labelled.get(_labelled(row))
        if entry is None or (row["key"], *_point(row)) in named:
            continue
        # What another seed was there for is its own.
        plan = {name: row[name] for name in ("stage", "search", "number", "sampler")}
        present = replace(entry, trial=replace(entry.trial, seed=row["seed"]), **plan)
        same = present.trial.key == row["key"]
        if same:
            kept.append(present)
        # A label that now stands for other arguments has its trials under those alone.
        if not (same and own):
            earlier.append(row)
    rows += name_rows(kept)
    if listed is not None:
        rows = [listed.heeded(row) for row in rows]
    written = {(row["key"], *_point(row)) for row in [*rows, *earlier]}
    others = [row for row in store.cells().to_pylist() if (row["key"], *_point(row)) not in written]
    if listed is not None:
        rows += _reconsidered(others, {combination_of(row) for row in rows}, listed)
    store.write_cells(rows, earlier=earlier)


def name_rows(entries: Sequence[Entry]) -> list[Row]:
    """The rows of `cells.parquet`."""
    return [
        {
            "strategy": entry.strategy,
            "arguments": canonical_json(entry.arguments),
            "label": entry.label,
            "dial": entry.dial,
            "dial_value": entry.dial_value,
            "position": entry.position,
            "baseline": entry.baseline,
            "asked": True,
            "stage": entry.stage,
            "search": entry.search,
            "number": entry.number,
            "sampler": entry.sampler,
            **entry.trial.columns(),
            # Trials that differ in what a search draws stand in one table.
            **({"recipe": facts_text(entry.shared)} if entry.shared else {}),
        }
        for entry in entries
    ]


def _in_net(placement: Placement, net: Net) -> Placement:
    """The placement of a trial: none where nothing of what is asked has a place in the net.

    Where only a part has none, the placement keeps it, and with it the key that such trials have in
    every store: zaremba2014 in a net of one layer has been stored with its INTERLAYER.
    """
    return placement if placement.within(net.layers) else Placement()


def _check(placement: Placement, layers: int, updates: int) -> None:
    for update in (0, updates // 2, updates):
        placement.at(update, updates)
    placement.check_noises(layers)


def _check_words(placement: Placement, label: str, corpus: Corpus) -> None:
    drop = placement.get(Edge.EMBEDDING)
    try:
        if drop is not None:
            check_types(drop.shared, len(corpus.vocabulary))
    except AblateError as error:
        raise AblateError(
            f"'{label}' on corpus {corpus.name}: {error}; keep the most frequent ones, --set "
            f"text.size={LIMITS['word']}, or leave the strategy out"
        ) from None


def _reconsidered(
    rows: Sequence[Row], combinations: Collection[tuple[str, ...]], listed: Listed
) -> Iterator[Row]:
    """Those of `rows` that the study file lists again, elsewhere, or no more."""
    for row in rows:
        heeded = listed.heeded(row)
        if combination_of(row) in combinations and heeded != row:
            # A point that the file does not list is no baseline.
            yield heeded if heeded["asked"] else heeded | {"baseline": False}


def _point(row: Row) -> tuple[str, ...]:
    return row["strategy"], row["arguments"], *combination_of(row)


def _labelled(row: Row) -> tuple[str, ...]:
    return row["label"], *combination_of(row)
