"""What captions say: how many seeds, which interval, what validation chose, and unknown words.

A figure's own words come first; these follow. Table, page, Markdown and LaTeX share them, so that a
number is described in one way wherever it stands.
"""

import pandas as pd

from ablate.report.combination import Combination
from ablate.report.names import names_of
from ablate.report.numbers import seeds
from ablate.report.statistics import PLACEMENT, SEEDS_FOR_INTERVAL
from ablate.report.sweeps import curves_of
from ablate.report.table import Table
from ablate.report.tuned import is_tuned
from ablate.report.unknown import unknown_targets
from ablate.report.verdict import comparisons
from ablate.status import Status

# So many chosen points are named.
_LISTED = 8


def table_caption(part: Combination, table: Table) -> str:
    """The main table's caption; `part` is the whole combination, with its searches.

    Where the table stands by itself, `setting_words` follow.
    """
    sentences = [
        _means(table.rows["n"]),
        _differences(table),
        "" if is_tuned(part) else _chosen(table.rows),
        table.caption,
    ]
    return " ".join(filter(None, sentences))


def setting_words(part: Combination, *, train: bool = True) -> str:
    """Headline epoch, corpus, net, precision and recipe, as sentences.

    `train` says how a train loss was measured; not where there are others.
    """
    return f"{headline_words(part)}. {measured_words(part, train=train)}"


def headline_words(part: Combination) -> str:
    """Of which epoch the numbers are."""
    epoch = {"last": "the last epoch", "best": "the epoch of lowest validation loss"}[part.headline]
    return f"Headline numbers are those of {epoch}"


def measured_words(part: Combination, *, train: bool = True) -> str:
    """Corpus, net, precision and recipe; and how a train loss was measured."""
    words = f"Corpus {part.corpus}, {part.net_words}, {part.precision}; {part.recipe_words}."
    return f"{words} Train measured with dropout off." if train else words


def unknown_words(part: Combination) -> str:
    """How many validation targets of a figure are unknown words; empty where none are."""
    found = [one for one in unknown_targets(part.trials) if one.split == "valid"]
    if not found:
        return ""
    return (
        f"{found[0].words} are words that the training vocabulary lacks; perplexity here counts "
        "them."
    )


def seeds_of(trials: pd.DataFrame) -> tuple[int, int]:
    """The fewest and the most finished seeds of a placement; zeros where nothing has finished."""
    counts = trials[trials["status"] == Status.OK].groupby(list(PLACEMENT)).size()
    return (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)


def _means(counts: pd.Series) -> str:
    done = counts[counts > 0]
    if done.empty:
        return "No trial has finished."
    low, high = int(done.min()), int(done.max())
    if high < SEEDS_FOR_INTERVAL:
        small = ", both values in brackets where there are two" if high == 2 else ""
        return f"Perplexity per word, mean over {seeds(low, high)} a placement{small}; no interval."
    return (
        f"Perplexity per word, mean over {seeds(low, high)} a placement with its 95 % Student-t "
        "interval (\N{PLUS-MINUS SIGN}, three seeds or more)."
    )


def _differences(table: Table) -> str:
    if not table.baseline or not (table.rows["valid_pairs"].fillna(0) > 0).any():
        return ""
    text = f"Differences are to {table.baseline}, paired by seed"
    tested = len(comparisons(table.rows))
    if not tested:
        return f"{text}."
    if tested == 1:
        return f"{text}, with 95 % interval and p of the moderated t test."
    return (
        f"{text}, with 95 % intervals of the moderated t test, each on its own; p is of that test "
        f"after Holm's correction over {tested} comparisons, so that an interval can leave out "
        "zero where nothing is decided."
    )


def _chosen(rows: pd.DataFrame) -> str:
    """What validation chose within each sweep of a rate; a placement of one rate is no choice."""
    sweeps = [curve.rows for curve in curves_of(rows[rows["n"] > 0]) if len(curve.rows) > 1]
    if not sweeps:
        return "Validation chose nothing: each placement has one rate."
    chosen = [sweep["label"].iloc[int(sweep["valid_ppl"].to_numpy().argmin())] for sweep in sweeps]
    return (
        f"Within each sweep of a rate, validation chose {names_of(chosen, most=_LISTED)}, by the "
        "mean over the seeds shown."
    )
