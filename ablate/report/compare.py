"""Two stores side by side: does an order of placements that holds in one hold in the other?

Each side may be another study, profile, machine, net or corpus. Placements are the same where
strategy and arguments are, and searches where their names are; each side's mean is over its own
seeds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from ablate.errors import AblateError, did_you_mean
from ablate.report.columns import Column, Entry, measured
from ablate.report.combination import COMBINATION, Combination, split
from ablate.report.escape import markdown
from ablate.report.frame import read_cells, read_epochs, read_trials
from ablate.report.grid import csv_of
from ablate.report.names import names_of
from ablate.report.numbers import MINUS, NOTHING, PLUS_MINUS, perplexity, signed
from ablate.report.order import BySeed, agreement, ranks
from ablate.report.panel import Panel
from ablate.report.statistics import PLACEMENT, Summary, seed_mean
from ablate.report.telling import differing
from ablate.report.tuned import is_tuned, shown
from ablate.report.unpaired import Change, welch
from ablate.stages import SEARCH, THEN
from ablate.status import Status
from ablate.store import Store, left_out, unnamed

METRIC: Final = "valid_ppl"

# Trials of one key are the same to the bit where these are the same.
_MACHINE: Final = ["device", "cpu", "platform", "torch_version", "ablate_version"]
# In the place of a search's arguments, which are whatever validation chose.
_TUNED: Final = "tuned"


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One combination of a store, and its trials: those of a search under the search's name."""

    name: str
    store: Store
    part: Combination
    trials: pd.DataFrame

    @property
    def title(self) -> str:
        """`A: placement (quick) in results: ptb-tenth, LSTM 2 × 200, fp32, last epoch`."""
        where = f"{self.store.study} ({self.store.profile}) in {self.store.folder.parents[1]}"
        return f"{self.name}: {where}: {self.part.name}, {self.part.headline} epoch"

    @property
    def finished(self) -> pd.DataFrame:
        """The trials that ended well."""
        return self.trials[self.trials["status"] == Status.OK]

    @property
    def labels(self) -> dict[tuple[str, str], str]:
        """The label of each placement that has a finished trial, in the order of the study."""
        rows = self.finished.sort_values("position", kind="stable")
        return {
            (strategy, arguments): str(label)
            for strategy, arguments, label in rows[[*PLACEMENT, "label"]].itertuples(index=False)
        }

    def by_seed(self, placement: tuple[str, str]) -> BySeed:
        """The perplexity of each finished seed of a placement."""
        rows = self.finished
        own = rows[(rows["strategy"] == placement[0]) & (rows["arguments"] == placement[1])]
        return dict(zip(own["seed"].astype(int), own[METRIC].astype(float), strict=True))


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
    every = [_sides(name, store) for name, store in zip("AB", stores, strict=True)]
    sides = [
        _named(own, wanted) if wanted else own
        for own, wanted in zip(every, combinations, strict=True)
    ]
    pairs = _pairs(*sides)
    common = [(first, second) for first, second in pairs if _common(first, second)]
    if not common:
        raise _nothing_in_common(*pairs[0])
    notes = [
        f"{name}: {note}"
        for name, store in zip("AB", stores, strict=True)
        for note in (left_out(store), unnamed(store), store.damage())
        if note
    ]
    compared = tuple(_compare(*pair) for pair in common)
    return Compared(compared, (*notes, *_alone(sides, common)))


def _sides(name: str, store: Store) -> list[Side]:
    """The combinations of a store that have a trial."""
    cells = read_cells(store)
    parts = split(read_trials(store, cells), read_epochs(store), cells)
    return [Side(name, store, part, _trials(part)) for part in parts if len(part.trials)]


def _trials(part: Combination) -> pd.DataFrame:
    """The trials of the main table, and those that the study file does not ask for.

    Of a search the later seeds of what it chose, and none of those on which it chose.
    """
    view = shown(part)
    chosen = view.trials["stage"] == THEN
    trials = view.trials.assign(
        strategy=view.trials["strategy"].where(~chosen, view.trials["label"]),
        arguments=view.trials["arguments"].where(~chosen, _TUNED),
    )
    if len(view.others):
        trials = pd.concat([trials, view.others])
    kept = trials[trials["stage"] != SEARCH]
    return kept.drop_duplicates([*PLACEMENT, "seed", "key"])


def _named(sides: Sequence[Side], wanted: str) -> list[Side]:
    """The side whose combination is called `wanted`, or has that in its name."""
    names = {side.part.name: side for side in sides}
    slugs = {side.part.slug: side for side in sides if side.part.slug}
    exact = names.get(wanted) or slugs.get(wanted)
    word = wanted.casefold()
    found = (
        [exact]
        if exact
        else [s for s in sides if word in s.part.name.casefold() or word in s.part.slug]
    )
    if len(found) == 1:
        return found
    which = "no combination is" if not found else f"{len(found)} combinations are"
    near = "" if found else did_you_mean(wanted, [*names, *slugs])
    raise AblateError(
        f"{which} called '{wanted}' in {sides[0].name}, which has {_list(sides)}{near}; give a "
        "part of one name",
        given=wanted,
        allowed=tuple(names),
    )


def _pairs(first: Sequence[Side], second: Sequence[Side]) -> list[tuple[Side, Side]]:
    """Which combination is compared with which."""
    if len(first) == len(second) == 1:
        return [(first[0], second[0])]
    others = {_identity(side): side for side in second}
    pairs = [(side, others[_identity(side)]) for side in first if _identity(side) in others]
    if pairs:
        return pairs
    raise AblateError(
        f"A has {_list(first)}, B has {_list(second)}, and none is in both; say which to compare, "
        "for A and then for B: --combination NAME --combination NAME, where a part of a name will "
        "do",
        allowed=tuple(side.part.name for side in (*first, *second)),
    )


def _identity(side: Side) -> tuple[str, ...]:
    row = side.part.cells.iloc[0]
    return tuple(str(row[name]) for name in COMBINATION)


def _common(first: Side, second: Side) -> list[tuple[str, str]]:
    """The placements with a finished trial on both sides, in the order of A."""
    theirs = second.labels
    return [placement for placement in first.labels if placement in theirs]


def _nothing_in_common(first: Side, second: Side) -> AblateError:
    ours, theirs = (list(side.labels.values()) for side in (first, second))
    return AblateError(
        _unlike(first, second)
        or f"no placement has a finished trial in both: A has {_quoted(ours)}, and B has "
        f"{_quoted(theirs)}; {_what_to_do(first, second)}",
        given=tuple(ours),
        allowed=tuple(theirs),
    )


def _unlike(first: Side, second: Side) -> str | None:
    """Why a search has no placement in common with points; None where both sides are of a kind."""
    names = {is_tuned(side.part): side.name for side in (first, second)}
    if len(names) == 1:
        return None
    return (
        f"{names[True]} is tuned and {names[False]} is not, and what a search chose is another "
        "placement than the point of its name; compare a tuned profile with another tuned one"
    )


def _what_to_do(first: Side, second: Side) -> str:
    """How two sides without a common placement come to have one."""
    if not (first.labels and second.labels):
        return "a comparison needs finished trials on both sides"
    if is_tuned(second.part):
        return "let the study file of B search one of A's too"
    run = second.store.command("run", "--strategies", next(iter(first.labels.values())))
    return f"train one of A's in B, as by `{run}`"


def _compare(first: Side, second: Side) -> Comparison:
    common = _common(first, second)
    values = [[side.by_seed(placement) for placement in common] for side in (first, second)]
    labels = [first.labels[placement] for placement in common]
    rows = _rows(first, second, common)
    return Comparison(
        first,
        second,
        agreement(labels, *values).words,
        _differs(first.part, second.part),
        Panel("compare", "Side by side", rows, _COLUMNS, _caption(rows)),
        tuple(_notes(first, second, rows)),
    )


def _rows(first: Side, second: Side, common: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """One row a placement, the lowest of A first."""
    indexed = [
        {
            tuple(row[list(PLACEMENT)]): row
            for _, row in Summary((METRIC,))(side.finished).iterrows()
        }
        for side in (first, second)
    ]
    rows = []
    for placement in common:
        own: dict[str, Any] = {
            **dict(zip(PLACEMENT, placement, strict=True)),
            "label": first.labels[placement],
            "a": first.part.name,
            "b": second.part.name,
        }
        for side, summary in zip("ab", indexed, strict=True):
            found = summary[placement]
            own[f"{side}_n"] = int(found["n"])
            own |= {f"{side}_{METRIC}{end}": found[f"{METRIC}{end}"] for end in _ENDS}
            own[f"{side}_placement"] = found["placement"]
        change, paired = _change(first, second, placement)
        own |= {"difference": change.mean, "difference_low": change.low}
        rows.append(own | {"difference_high": change.high, "paired": paired})
    frame = pd.DataFrame(rows)
    for side in "ab":
        frame[f"{side}_rank"] = [int(rank) for rank in ranks(frame[f"{side}_{METRIC}"].to_list())]
    return frame.sort_values(f"a_{METRIC}", kind="stable", ignore_index=True)


def _change(first: Side, second: Side, placement: tuple[str, str]) -> tuple[Change, bool]:
    """B minus A of one placement, and whether its trials are the same on both sides."""
    ours, theirs = first.by_seed(placement), second.by_seed(placement)
    if _same_trials(first, second, placement):
        changes = [theirs[seed] - ours[seed] for seed in sorted(ours)]
        if not any(change != change for change in changes):
            found = seed_mean(changes)
            return Change(found.mean, found.low, found.high), True
    return welch(list(ours.values()), list(theirs.values())), False


def _same_trials(first: Side, second: Side, placement: tuple[str, str]) -> bool:
    """Whether each trial of a placement is in both, of one key and from one machine."""
    facts = []
    for side in (first, second):
        rows = side.finished
        own = rows[(rows["strategy"] == placement[0]) & (rows["arguments"] == placement[1])]
        facts.append(set(own[["key", *_MACHINE]].fillna("").itertuples(index=False, name=None)))
    return facts[0] == facts[1]


_ENDS: Final = ("", "_low", "_high", "_values")


def _place(name: str) -> Column:
    return Column(f"{name.upper()} rank", "", lambda row: Entry(str(row[f"{name}_rank"])))


def _mean(name: str) -> Column:
    return Column(name.upper(), "valid ppl", measured(f"{name}_{METRIC}", perplexity))


def _count(name: str) -> Column:
    return Column(f"{name.upper()} n", "seeds", lambda row: Entry(str(row[f"{name}_n"])))


def _changed(row: pd.Series) -> Entry:
    half = (row["difference_high"] - row["difference_low"]) / 2
    text = NOTHING if pd.isna(row["difference"]) else signed(row["difference"])
    return Entry(text, "" if pd.isna(half) else f"{PLUS_MINUS} {perplexity(half)}")


_COLUMNS: Final = (
    Column("placement", "", lambda row: Entry(str(row["label"])), left=True),
    _mean("a"),
    _count("a"),
    _mean("b"),
    _count("b"),
    Column(f"B {MINUS} A", "ppl", _changed),
    _place("a"),
    _place("b"),
)


def _caption(rows: pd.DataFrame) -> str:
    sentences = ["Means over seeds, with 95 % Student-t intervals from three seeds on."]
    unpaired = rows[~rows["paired"]]
    if unpaired["difference_low"].notna().any():
        sentences.append(
            f"B {MINUS} A: difference of the means with the interval of Welch's t; the sides' "
            "trials are not paired."
        )
    if rows["paired"].any():
        which = "" if unpaired.empty else f" of {names_of(rows.loc[rows['paired'], 'label'])}"
        sentences.append(
            f"The trials{which} are the same on both sides, of one key and from one machine, and "
            "are compared seed by seed."
        )
    sentences.append("Rank 1 is the lowest of the placements that both have.")
    return " ".join(sentences)


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
    shared = set(first.finished["key"]) & set(second.finished["key"])
    apart = rows[~rows["paired"]]
    if shared and len(apart) and (machines := _machines(first, second)):
        many = f"{len(shared)} trial{'' if len(shared) == 1 else 's'}"
        yield (
            f"{many} of A and B have the same keys and come from different machines or versions "
            f"({machines}): they share nothing but their name."
        )
    moved = apart.loc[apart["a_placement"] != apart["b_placement"], "label"]
    # A strategy may make another placement for each cell; that is one method all the same.
    if len(moved) and first.part.net.get("cell") == second.part.net.get("cell"):
        yield f"Of another placement in A than in B, under one name: {names_of(moved, most=None)}."


def _machines(first: Side, second: Side) -> str:
    """In what the machines of two sides differ; empty where in nothing."""
    found = []
    for fact in _MACHINE:
        ours, theirs = (
            ", ".join(sorted(set(side.finished[fact].dropna()))) or "unknown"
            for side in (first, second)
        )
        if ours != theirs:
            found.append(f"{fact.replace('_', ' ')} {ours} and {theirs}")
    return "; ".join(found)


def _alone(sides: Sequence[Sequence[Side]], pairs: Sequence[tuple[Side, Side]]) -> list[str]:
    """What was not compared since only one store has it."""
    compared = {id(side) for pair in pairs for side in pair}
    lists = [[side for side in own if id(side) not in compared] for own in sides]
    return [f"Only {own[0].name} has, and not compared: {_list(own)}." for own in lists if own]


def _list(sides: Sequence[Side]) -> str:
    many = f"{len(sides)} combination{'' if len(sides) == 1 else 's'}"
    return f"{many} ({'; '.join(side.part.name for side in sides)})"


def _quoted(labels: Sequence[str]) -> str:
    """Labels in quotes, since one of them may be `none`."""
    return names_of([f"'{label}'" for label in labels]) or "no finished trial of a placement"
