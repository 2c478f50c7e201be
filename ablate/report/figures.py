"""The figures of a combination, each with its caption: what is drawn, from what, measured how."""

from dataclasses import dataclass

import pandas as pd

from ablate.report import designs
from ablate.report.arguments import argument_rows, by_argument, has_arguments
from ablate.report.arguments import words as argument_words
from ablate.report.budget import best_of_k, budget_rows, has_budgets, sampled_at_random
from ablate.report.budget import words as budget_words
from ablate.report.captions import (
    headline_words,
    measured_words,
    seeds_of,
    setting_words,
    unknown_words,
)
from ablate.report.combination import Combination
from ablate.report.curves import curve_rows, learning_curves
from ablate.report.dial import by_dial, dial_rows
from ablate.report.grid import csv_of
from ablate.report.numbers import seeds
from ablate.report.paired import baseline_label, has_pairs, paired_differences, paired_rows
from ablate.report.placements import gap_by_placement, gap_rows
from ablate.report.plot import Plot
from ablate.report.reach import REACH, REACH_OF_CURVES, out_of_reach
from ablate.report.statistics import PLACEMENT, SEEDS_FOR_INTERVAL
from ablate.report.style import png, svg
from ablate.report.sweeps import MOST
from ablate.report.tradeoff import tradeoff, tradeoff_rows
from ablate.report.tuned import is_tuned, shown

_FAINT = "All but the best of each sweep are small and faint."
_BEST_ONLY = "Only the best of each sweep by validation perplexity is shown."


# What every study has, and what a search has.
PLOTS = (
    Plot(
        "paired-differences",
        "Paired differences of validation perplexity to the baseline",
        "Marks are means over pairs of equal seed, pale points single pairs. The numbers are the "
        "table's, bold where p after Holm's correction is below .05.",
        lambda part: paired_differences(part.trials),
        lambda part: paired_rows(part.trials),
        "Bars are 95 % intervals of the paired difference (moderated t, three pairs or more), as "
        "in the table, each on its own.",
        _BEST_ONLY,
        applies=lambda part: has_pairs(shown(part).trials),
    ),
    Plot(
        "perplexity-by-dial",
        "Validation perplexity by dial",
        "The dial is the rate that a sweep of a strategy turns; the others keep their ratio to it. "
        "Marks are means over seeds, pale points single seeds; points that would hide one another "
        "stand side by side.",
        lambda part: by_dial(part.trials),
        lambda part: dial_rows(part.trials),
        # What a search chose differs in more than a dial, and a design's runs have none.
        applies=lambda part: not is_tuned(part) and bool(part.trials["dial"].notna().any()),
    ),
    Plot(
        "learning-curves",
        "Learning curves, train against validation",
        "Thin lines are single seeds, thick ones means; on the logarithmic axis the band between "
        "them is the overfitting gap, written in nats per token.",
        lambda part: learning_curves(part.trials, part.epochs),
        lambda part: curve_rows(part.trials, part.epochs),
        crowded=_BEST_ONLY,
        needs_finished=False,
    ),
    Plot(
        "gap-by-placement",
        "Overfitting gap and validation perplexity by placement",
        "Ordered by the gap. Ticks are means over seeds, pale points single seeds.",
        lambda part: gap_by_placement(part.trials),
        lambda part: gap_rows(part.trials),
        crowded=_BEST_ONLY,
    ),
    Plot(
        "gap-against-perplexity",
        "Overfitting gap against validation perplexity",
        "Marks are means over seeds, pale points single seeds; grey lines join a sweep.",
        lambda part: tradeoff(part.trials),
        lambda part: tradeoff_rows(part.trials),
        crowded=_FAINT,
    ),
    Plot(
        "best-of-k",
        "Best of k points against the budget",
        "",
        lambda part: best_of_k(part, bands=sampled_at_random(part)),
        lambda part: budget_rows(part, bands=sampled_at_random(part)),
        applies=has_budgets,
        tells=lambda part: budget_words(part, bands=sampled_at_random(part)),
    ),
    Plot(
        "validation-by-argument",
        "Validation perplexity against each argument",
        "",
        by_argument,
        argument_rows,
        applies=has_arguments,
        tells=argument_words,
    ),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as files, with its title and caption; `csv` has what is drawn, in full."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    csv: str


def draw_figures(part: Combination) -> tuple[Drawn, ...]:
    """Draw the figures of one combination; without a finished trial only its learning curves."""
    plots = (*PLOTS, *designs.PLOTS)
    return tuple(_drawn(plot, part) for plot in plots if plot.drawable(part))


def _drawn(plot: Plot, part: Combination) -> Drawn:
    own = plot.of(part)
    figure = plot.draw(own)
    rows = csv_of(plot.rows(own).drop(columns="position", errors="ignore"))
    return Drawn(plot.name, plot.title, caption(plot, own), svg(figure), png(figure), rows)


def caption(plot: Plot, part: Combination) -> str:
    """The caption: what is shown, unknown words, headline epoch, seeds, corpus, net, recipe."""
    if plot.tells is not None:
        words = " ".join(filter(None, [plot.shows, plot.tells(part), unknown_words(part)]))
        return f"{words} {setting_words(part)}"
    low, high = seeds_of(part.trials)
    curves = plot.name == "learning-curves"
    sentences = [plot.shows]
    if baseline := baseline_label(part.trials):
        sentences.append(f"Dashed: {baseline}, the baseline.")
    if part.trials.groupby(list(PLACEMENT)).ngroups > MOST:
        sentences.append(plot.crowded)
    if not curves:
        few = "Too few seeds for intervals."
        sentences.append(plot.bars if high >= SEEDS_FOR_INTERVAL else few)
    if out_of_reach(part.trials):
        reach, mark = (REACH_OF_CURVES, "") if curves else (REACH, ", hollow or dotted")
        sentences.append(
            f"Perplexities above {reach:,.0f} times the lowest are drawn at the axis's end{mark}."
        )
    if curves and _sampled(part):
        sentences.append(
            "The curve of train is measured on the first tokens of the training text, as many as "
            "the validation split has."
        )
    sentences += [
        unknown_words(part),
        f"{headline_words(part)}; {seeds(low, high)} a placement.",
        measured_words(part),
    ]
    return " ".join(filter(None, sentences))


def _sampled(part: Combination) -> bool:
    """Whether curves have another train loss than the headline, which is of more tokens."""
    last = part.epochs.drop_duplicates("key", keep="last").set_index("key")["train_nll"]
    headline = part.trials.drop_duplicates("key").set_index("key")["train_nll_last"]
    both = pd.concat([last, headline], axis=1).dropna()
    return bool((both.iloc[:, 0] != both.iloc[:, 1]).any())
