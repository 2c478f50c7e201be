"""The table of a comparison: what each placement came to on both sides, and what it changed."""

from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import pandas as pd

from ablate.report.columns import Column, Entry, measured
from ablate.report.names import names_of
from ablate.report.numbers import MINUS, NOTHING, PLUS_MINUS, perplexity, signed
from ablate.report.order import ranks
from ablate.report.panel import Panel
from ablate.report.sides import METRIC, Side
from ablate.report.statistics import PLACEMENT, Summary, seed_mean
from ablate.report.unpaired import Change, welch

_ENDS: Final = ("", "_low", "_high", "_values")


def panel_of(first: Side, second: Side, common: Sequence[tuple[str, str]]) -> Panel:
    """The table of the placements that both sides have, the lowest of A first.

    Perplexities of one text are subtracted. Those of two texts are not, whose words differ: there
    each side says by how much a placement changes the perplexity of the common baseline.
    """
    rows = _rows(first, second, common)
    if first.part.corpus_digest == second.part.corpus_digest:
        rows = rows.join(_differences(first, second, common))
        between, words = [_DIFFERENCE], _of_differences(rows)
    elif (baseline := first.baseline) is not None and baseline == second.baseline:
        for side, own in (("a", first), ("b", second)):
            rows = rows.join(_effects(side, own, common, baseline))
        name = first.labels[baseline]
        between = [_effect(side, name) for side in "ab"]
        words = [
            f"A and B have other texts, whose perplexities are not subtracted; to {name}: the "
            f"change of perplexity in per cent, paired by seed with {name} of that side, with its "
            "95 % Student-t interval from three seeds on."
        ]
    else:
        between, words = [], ["A and B have other texts, whose perplexities are not subtracted."]
    if "paired" not in rows:
        # Trials of two texts have two keys.
        rows["paired"] = False
    for side in "ab":
        rows[f"{side}_rank"] = [int(rank) for rank in ranks(rows[f"{side}_{METRIC}"].to_list())]
    rows = rows.sort_values(f"a_{METRIC}", kind="stable", ignore_index=True)
    columns = (_NAME, _mean("a"), _count("a"), _mean("b"), _count("b"), *between)
    caption = [
        "Means over seeds, with 95 % Student-t intervals from three seeds on.",
        *words,
        "Rank 1 is the lowest of the placements that both have.",
    ]
    ranked = (*columns, _rank("a"), _rank("b"))
    return Panel("compare", "Side by side", rows, ranked, " ".join(caption))


def _rows(first: Side, second: Side, common: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """What each side came to, one row a placement."""
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
        rows.append(own)
    return pd.DataFrame(rows)


def _differences(first: Side, second: Side, common: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """B minus A; `paired` where the trials of both sides are the same."""
    found = [_difference(first, second, placement) for placement in common]
    names = ("difference", "difference_low", "difference_high", "paired")
    rows = [(each.mean, each.low, each.high, paired) for each, paired in found]
    return pd.DataFrame(rows, columns=names)


def _difference(first: Side, second: Side, placement: tuple[str, str]) -> tuple[Change, bool]:
    ours, theirs = first.by_seed(placement), second.by_seed(placement)
    if first.facts(placement) == second.facts(placement):
        changes = [theirs[seed] - ours[seed] for seed in sorted(ours)]
        if not any(change != change for change in changes):
            found = seed_mean(changes)
            return Change(found.mean, found.low, found.high), True
    return welch(list(ours.values()), list(theirs.values())), False


def _effects(
    side: str, own: Side, common: Sequence[tuple[str, str]], baseline: tuple[str, str]
) -> pd.DataFrame:
    """By how many per cent each other placement changes the baseline's perplexity, by seed."""
    reference = {seed: value for seed, value in own.by_seed(baseline).items() if isfinite(value)}
    rows = []
    for placement in common:
        values = {} if placement == baseline else own.by_seed(placement)
        found = seed_mean(
            [100 * (values[seed] / reference[seed] - 1) for seed in values if seed in reference]
        )
        rows.append((found.mean, found.low, found.high, found.values))
    return pd.DataFrame(rows, columns=[f"{side}_effect{end}" for end in _ENDS])


def _rank(name: str) -> Column:
    return Column(f"{name.upper()} rank", "", lambda row: Entry(str(row[f"{name}_rank"])))


def _mean(name: str) -> Column:
    return Column(name.upper(), "valid ppl", measured(f"{name}_{METRIC}", perplexity))


def _count(name: str) -> Column:
    return Column(f"{name.upper()} n", "seeds", lambda row: Entry(str(row[f"{name}_n"])))


def _effect(name: str, baseline: str) -> Column:
    return Column(f"{name.upper()} to {baseline}", "%", measured(f"{name}_effect", signed))


def _changed(row: pd.Series) -> Entry:
    half = (row["difference_high"] - row["difference_low"]) / 2
    text = NOTHING if pd.isna(row["difference"]) else signed(row["difference"])
    return Entry(text, "" if pd.isna(half) else f"{PLUS_MINUS} {perplexity(half)}")


_NAME: Final = Column("placement", "", lambda row: Entry(str(row["label"])), left=True)
_DIFFERENCE: Final = Column(f"B {MINUS} A", "ppl", _changed)


def _of_differences(rows: pd.DataFrame) -> list[str]:
    """How B minus A was come by."""
    found = []
    unpaired = rows[~rows["paired"]]
    if unpaired["difference_low"].notna().any():
        found.append(
            f"B {MINUS} A: difference of the means with the interval of Welch's t; the sides' "
            "trials are not paired."
        )
    if rows["paired"].any():
        which = "" if unpaired.empty else f" of {names_of(rows.loc[rows['paired'], 'label'])}"
        found.append(
            f"The trials{which} are the same on both sides, of one key and from one machine, and "
            "are compared seed by seed."
        )
    return found
