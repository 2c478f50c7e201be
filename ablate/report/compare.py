"""Two stores side by side: does an order of placements that holds in one hold in the other?

Each side may be another study, profile, machine, net or corpus. Placements are the same where
strategy and arguments are, and searches where their names are; each side's mean is over its own
seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from ablate.report.combination import Combination
from ablate.report.escape import markdown
from ablate.report.grid import csv_of
from ablate.report.names import names_of
from ablate.report.order import agreement
from ablate.report.panel import Panel
from ablate.report.side_by_side import panel_of
from ablate.report.sides import (
    MACHINE,
    Side,
    in_common,
    listed,
    named,
    nothing_in_common,
    pairs_of,
    sides_of,
)
from ablate.report.telling import differing
from ablate.status import Status
from ablate.store import Store, left_out, unnamed


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One combination of A beside one of B.

    `verdict` says whether the orders agree, `differs` what the combinations have otherwise, and
    `notes` what a reader must know of the trials. `panel` has a row for each placement that has a
    finished trial on both sides, the lowest of A first.
    """

    first: Side
    second: Side
    verdict: str
    differs: tuple[str, ...]
    panel: Panel
    notes: tuple[str, ...]

    @property
    def head(self) -> tuple[str, ...]:
        """What stands above the table, a line each."""
        lines = [self.verdict, self.first.title, self.second.title]
        if self.differs:
            lines.append(f"A and B differ in {', '.join(self.differs)}.")
        return tuple(lines)

    def text(self, width: int = 100) -> str:
        """Plain text, its table no wider than `width` where names allow."""
        below = filter(None, [self.panel.caption, *self.notes])
        return "\n".join([*self.head, "", self.panel.text(width), *below])

    def markdown(self) -> str:
        """Markdown: the sentences, the table and its caption."""
        lines = [f"{markdown(line)}  " for line in self.head]
        below = [f"{markdown(note)}\n" for note in self.notes]
        return "\n".join([*lines, "", self.panel.markdown(), *below])


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Every combination that was compared, and what is to be said of the stores as a whole."""

    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...] = ()

    def text(self, width: int = 100) -> str:
        """Plain text."""
        return "\n\n".join([*(each.text(width) for each in self.comparisons), *self.notes])

    def csv(self) -> str:
        """Every number in full, one row a placement and combination."""
        return csv_of(pd.concat([each.panel.rows for each in self.comparisons]))

    def markdown(self) -> str:
        """Markdown."""
        parts = [each.markdown() for each in self.comparisons]
        return "\n".join([*parts, *(f"{markdown(note)}\n" for note in self.notes)])


def compare(
    a: Store, b: Store, combinations: tuple[str | None, str | None] = (None, None)
) -> Compared:
    """Set the combinations of two stores side by side, by validation perplexity.

    Combinations that are equal are compared with each other. Where none is, or `combinations` names
    one a side by its name or a part of it, one of each is compared, whatever they are. Raises
    AblateError where it is open which, where there is no such combination, and where no placement
    has a finished trial on both sides.
    """
    stores = (a.whole(), b.whole())
    every = [sides_of(name, store) for name, store in zip("AB", stores, strict=True)]
    sides = [
        named(own, wanted) if wanted else own
        for own, wanted in zip(every, combinations, strict=True)
    ]
    pairs = pairs_of(*sides)
    common = [(first, second) for first, second in pairs if in_common(first, second)]
    if not common:
        raise nothing_in_common(*pairs[0])
    notes = [
        f"{name}: {note}"
        for name, store in zip("AB", stores, strict=True)
        for note in (left_out(store), unnamed(store), store.damage())
        if note
    ]
    compared = tuple(_compare(*pair) for pair in common)
    return Compared(compared, (*notes, *_alone(sides, common)))


def _compare(first: Side, second: Side) -> Comparison:
    common = in_common(first, second)
    values = [[side.by_seed(placement) for placement in common] for side in (first, second)]
    labels = [first.labels[placement] for placement in common]
    panel = panel_of(first, second, common)
    return Comparison(
        first,
        second,
        agreement(labels, *values).words,
        _differs(first.part, second.part),
        panel,
        tuple(_notes(first, second, panel.rows)),
    )


def _differs(first: Combination, second: Combination) -> tuple[str, ...]:
    """What two combinations have otherwise, in words."""
    found = []
    if first.corpus != second.corpus:
        found.append(("corpus", first.corpus, second.corpus))
    elif first.corpus_digest != second.corpus_digest:
        digests = (first.corpus_digest[:8], second.corpus_digest[:8])
        found.append((f"the texts of corpus {first.corpus}, by digest", *digests))
    nets = [dict(part.net) for part in (first, second)]
    if any(net.get("embedding") for net in nets):
        nets = [net | {"embedding": net.get("embedding") or net.get("hidden")} for net in nets]
    found += [*differing(*nets), *differing(first.recipe, second.recipe)]
    found += differing({"precision": first.precision}, {"precision": second.precision})
    return tuple(f"{name} {here} and {there}" for name, here, there in found)


def _notes(first: Side, second: Side, rows: pd.DataFrame) -> Iterable[str]:
    """What only one side has, what has no mean, and how the trials of both are related."""
    for one, other in ((first, second), (second, first)):
        only = [label for placement, label in one.labels.items() if placement not in other.labels]
        if only:
            yield f"Only {one.name} has a finished trial of {names_of(only, most=None)}."
    for side in (first, second):
        lost = side.trials[side.trials["status"] != Status.OK].drop_duplicates("key")
        counts = lost["status"].value_counts(sort=False)
        if len(counts):
            words = " and ".join(f"{count} {status}" for status, count in counts.items())
            yield f"In no mean of {side.name}: {words}."
    yield from _of_other_machines(first, second)
    apart = rows[~rows["paired"]]
    moved = apart.loc[apart["a_placement"] != apart["b_placement"], "label"]
    # A strategy may make another placement for each cell; that is one method all the same.
    if len(moved) and first.part.net.get("cell") == second.part.net.get("cell"):
        yield f"Of another placement in A than in B, under one name: {names_of(moved, most=None)}."


def _of_other_machines(first: Side, second: Side) -> Iterable[str]:
    """How many trials of one key are of two machines, and in what those differ."""
    ours, theirs = (
        side.finished.drop_duplicates("key").set_index("key")[MACHINE].fillna("unknown")
        for side in (first, second)
    )
    keys = ours.index.intersection(theirs.index)
    differ = ours.loc[keys] != theirs.loc[keys]
    apart = keys[differ.any(axis=1)]
    if apart.empty:
        return
    facts = "; ".join(
        f"{fact.replace('_', ' ')} {_listed(ours.loc[apart, fact])} and "
        f"{_listed(theirs.loc[apart, fact])}"
        for fact in MACHINE
        if differ[fact].any()
    )
    many = f"{len(apart)} trials" if len(apart) > 1 else "1 trial"
    have = "have the same keys and come" if len(apart) > 1 else "has the same key and comes"
    yield (
        f"{many} of A and B {have} from different machines or versions ({facts}): they share "
        "nothing but their name."
    )


def _listed(values: pd.Series) -> str:
    return ", ".join(sorted(values.unique()))


def _alone(sides: Sequence[Sequence[Side]], pairs: Sequence[tuple[Side, Side]]) -> list[str]:
    """What was not compared since only one store has it."""
    compared = {id(side) for pair in pairs for side in pair}
    lists = [[side for side in own if id(side) not in compared] for own in sides]
    return [f"Only {own[0].name} has, and not compared: {listed(own)}." for own in lists if own]
