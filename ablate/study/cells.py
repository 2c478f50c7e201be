"""Cells: what is trained, each under a key that says all of it and nothing else.

A cell's names (strategy, arguments, label) are no part of it: two names for one placement are two
entries with one cell, which is trained once and shown under both.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate import noise
from ablate.cells import LSTM
from ablate.data.corpora import Corpus
from ablate.data.text import PLAIN, Text
from ablate.data.windows import training_updates
from ablate.edges import Edge
from ablate.errors import AblateError
from ablate.facts import canonical_json, facts
from ablate.masks import LIMITS, SEMANTICS, check_types
from ablate.model.net import Net
from ablate.placement import Placement
from ablate.sources import built_in
from ablate.study.grid import Value, distinct
from ablate.study.schema import Profile
from ablate.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Cell:
    """One trial to be: a net, a recipe, a placement and a seed on a corpus.

    `corpus` is how the corpus was asked for, which another machine may spell otherwise, `folder`
    where it lies (None for a built-in one) and `text` how it is read; the key has its digest.
    """

    corpus: str
    corpus_digest: str
    net: Net
    recipe: Recipe
    placement: Placement
    seed: int
    precision: str = "fp32"
    text: Text = PLAIN
    folder: Path | None = None

    @property
    def key(self) -> str:
        """20 hexadecimal digits: equal for cells whose trials would be equal, bit for bit."""
        return _hash(self._facts() | {"precision": self.precision})

    @property
    def pair_key(self) -> str:
        """The key without the precision: equal for cells that differ in nothing else."""
        return _hash(self._facts())

    def _facts(self) -> dict[str, Any]:
        return {
            # Written out, an embedding as wide as the layers is the one that is left out.
            "net": facts(self.net) | {"embedding": self.net.inputs},
            "corpus": self.corpus_digest,
            "recipe": facts(self.recipe),
            "placement": self.placement.text,
            "seed": self.seed,
            "semantics": SEMANTICS,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell under one of its names.

    `baseline` says that differences are to it; `position` counts the points in the file's order;
    `plugin` is the strategy's, with its version, where it has one. `asked` says that the study file
    lists the point; one that joined by `--strategies` is no part of what the file asks.
    """

    cell: Cell
    strategy: str
    arguments: dict[str, Value]
    label: str
    dial: str | None
    dial_value: float | None
    baseline: bool
    position: int
    plugin: str | None = None
    asked: bool = True

    @property
    def title(self) -> str:
        """The label, and the cell in front where it is no LSTM: `gru recurrent .25`."""
        name = self.cell.net.cell
        return self.label if name == LSTM.name else f"{name} {self.label}"


def enumerate_cells(profile: Profile, corpus: Corpus) -> list[Entry]:
    """Return every entry of `profile` on `corpus`: seed by seed, net by net, in the file's order.

    The seeds are outermost, so that a run that stops early has as many of each placement as it can.
    The profile's precision is settled: "auto" is a ValueError, because a key says what was trained.
    Raises AblateError for a corpus with less than one training window or with more words than masks
    have addresses for, for a placement that does not fit a net, and for a plugin's noise or
    schedule that does not do what it should.
    """
    if profile.precision == "auto":
        raise ValueError("precision is still 'auto'; settle it before cells are enumerated")
    recipe = profile.recipe
    updates = recipe.epochs * training_updates(len(corpus.train), recipe.batch, recipe.unroll)
    points = distinct(profile.strategies)
    placed = {net: [point.place(net.of_cell) for point in points] for net in profile.net.each}
    for net, placements in placed.items():
        for point, placement in zip(points, placements, strict=True):
            placement.check(net.layers, net.of_cell)
            _check(placement, net.layers, updates)
            _check_words(placement, point.label, corpus)
    return [
        Entry(
            cell=Cell(
                corpus=corpus.name,
                corpus_digest=corpus.digest,
                net=net,
                recipe=recipe.of(net),
                placement=_in_net(placement, net),
                seed=seed,
                precision=profile.precision,
                text=corpus.text,
                folder=corpus.folder,
            ),
            strategy=point.strategy.name,
            arguments=point.arguments,
            label=point.label,
            dial=point.strategy.dial,
            dial_value=point.dial_value,
            baseline=point.label == profile.baseline,
            position=position,
            plugin=point.strategy.plugin,
        )
        for seed in profile.seeds
        for net, placements in placed.items()
        for position, (point, placement) in enumerate(zip(points, placements, strict=True))
    ]


def without_place(profile: Profile) -> dict[tuple[Edge, bool], list[str]]:
    """The labels of points of which a part acts nowhere in the profile's net.

    By the edges that have no place there, and whether anything else is left of the point.
    """
    found: dict[tuple[Edge, bool], list[str]] = {}
    net = profile.net.each[0]  # They have one depth.
    for point in distinct(profile.strategies):
        placement = point.place(net.of_cell)
        left = placement.within(net.layers)
        if nowhere := placement.edges & ~left.edges:
            found.setdefault((nowhere, len(left) > 0), []).append(point.label)
    return found


def first_names(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The distinct cells in their order, each under the first of its names."""
    cells: dict[str, Entry] = {}
    for entry in entries:
        cells.setdefault(entry.cell.key, entry)
    return cells


def _in_net(placement: Placement, net: Net) -> Placement:
    """The placement of a cell: none where nothing of what is asked has a place in the net.

    Where only a part has none, the placement keeps it, and with it the key that such trials have in
    every store: zaremba2014 in a net of one layer has been stored with its INTERLAYER.
    """
    return placement if placement.within(net.layers) else Placement()


def _check(placement: Placement, layers: int, updates: int) -> None:
    for update in (0, updates // 2, updates):
        placement.at(update, updates)
    for drop in placement.within(layers).values():
        rates = drop.rate if isinstance(drop.rate, tuple) else (drop.rate,)
        for rate in filter(None, rates):
            if not built_in(type(drop.noise).__module__):
                noise.check(drop.noise, rate)


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


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:20]
