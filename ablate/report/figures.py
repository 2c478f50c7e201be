"""The figures of a combination, each with its caption: what is drawn, from what, measured how."""

from dataclasses import dataclass

import pandas as pd

from ablate.report import designs
from ablate.report.arguments import by_argument, has_arguments
from ablate.report.arguments import words as argument_words
from ablate.report.budget import best_of_k, has_budgets, sampled_at_random
from ablate.report.budget import words as budget_words
from ablate.report.combination import Combination
from ablate.report.curves import learning_curves
from ablate.report.dial import by_dial
from ablate.report.numbers import seeds
from ablate.report.placements import gap_by_placement
from ablate.report.plot import Plot
from ablate.report.reach import REACH, REACH_OF_CURVES, out_of_reach
from ablate.report.statistics import PLACEMENT, SEEDS_FOR_INTERVAL, baseline_of
from ablate.report.style import png, svg
from ablate.report.sweeps import MOST
from ablate.report.tradeoff import tradeoff
from ablate.report.tuned import is_tuned
from ablate.status import Status

_FAINT = " All but the best of each sweep are small and faint."
_BEST_ONLY = " Only the best of each sweep by validation perplexity is shown."


# What every study has, and what a search has.
PLOTS = (
    Plot(
        "perplexity-by-dial",
        "Validation perplexity by dial",
        "The dial is the rate that a sweep of a strategy turns; the others keep their ratio to it. "
        "Marks are means over seeds, pale points single seeds; points that would hide one another "
        "stand side by side.",
        lambda part: by_dial(part.trials),
        # What a search chose differs in more than a dial, and a design's runs have none.
        applies=lambda part: not is_tuned(part) and bool(part.trials["dial"].notna().any()),
    ),
    Plot(
        "learning-curves",
        "Learning curves, train against validation",
        "Thin lines are single seeds, thick ones means; on the logarithmic axis the band between "
        "them is the overfitting gap, written in nats per token.",
        lambda part: learning_curves(part.trials, part.epochs),
        _BEST_ONLY,
        needs_finished=False,
    ),
    Plot(
        "gap-by-placement",
        "Overfitting gap and validation perplexity by placement",
        "Ordered by the gap. Ticks are means over seeds, pale points single seeds.",
        lambda part: gap_by_placement(part.trials),
        _BEST_ONLY,
    ),
    Plot(
        "gap-against-perplexity",
        "Overfitting gap against validation perplexity",
        "Marks are means over seeds, pale points single seeds; grey lines join a sweep.",
        lambda part: tradeoff(part.trials),
        _FAINT,
    ),
    Plot(
        "best-of-k",
        "Best of k points against the budget",
        "",
        lambda part: best_of_k(part, bands=sampled_at_random(part)),
        applies=has_budgets,
        tells=lambda part: budget_words(part, bands=sampled_at_random(part)),
    ),
    Plot(
        "validation-by-argument",
        "Validation perplexity against each argument",
        "",
        by_argument,
        applies=has_arguments,
        tells=argument_words,
    ),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as files, with its title and caption."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def draw_figures(part: Combination) -> tuple[Drawn, ...]:
    """Draw the figures of one combination; without a finished trial only its learning curves."""
    plots = (*PLOTS, *designs.PLOTS)
    return tuple(_drawn(plot, part) for plot in plots if plot.drawable(part))


def _drawn(plot: Plot, part: Combination) -> Drawn:
    own = plot.of(part)
    figure = plot.draw(own)
    return Drawn(plot.name, plot.title, caption(plot, own), svg(figure), png(figure))


def caption(plot: Plot, part: Combination) -> str:
    """The caption: what is shown, then headline epoch, seeds, corpus, net and recipe."""
    if plot.tells is not None:
        words = " ".join(filter(None, [plot.shows, plot.tells(part)]))
        return f"{words} {_headline(part)}. {_measured(part)}"
    finished = part.trials[part.trials["status"] == Status.OK]
    counts = finished.groupby(list(PLACEMENT)).size()
    low, high = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
    words = plot.shows
    against = baseline_of(finished)
    if against is not None:
        words += f" Dashed: {against['label'].iloc[0]}, the baseline."
    if part.trials.groupby(list(PLACEMENT)).ngroups > MOST:
        words += plot.crowded
    if plot.name != "learning-curves":
        bars = "Bars are 95 % Student-t intervals (three seeds or more)."
        words += f" {bars}" if high >= SEEDS_FOR_INTERVAL else " Too few seeds for intervals."
    if out_of_reach(part.trials):
        curves = plot.name == "learning-curves"
        reach, mark = (REACH_OF_CURVES, "") if curves else (REACH, ", hollow or dotted")
        words += (
            f" Perplexities above {reach:,.0f} times the lowest are drawn at the axis's end{mark}."
        )
    if plot.name == "learning-curves" and _sampled(part):
        words += (
            " The curve of train is measured on the first tokens of the training text, as many as "
            "the validation split has."
        )
    return f"{words} {_headline(part)}; {seeds(low, high)} a placement. {_measured(part)}"


def _headline(part: Combination) -> str:
    epoch = {"last": "the last epoch", "best": "the epoch of lowest validation loss"}[part.headline]
    return f"Headline numbers are those of {epoch}"


def _measured(part: Combination) -> str:
    return (
        f"Corpus {part.corpus}, {part.net_words}, {part.precision}; {part.recipe_words}. "
        "Train measured with dropout off."
    )


def _sampled(part: Combination) -> bool:
    """Whether curves have another train loss than the headline, which is of more tokens."""
    last = part.epochs.drop_duplicates("key", keep="last").set_index("key")["train_nll"]
    headline = part.trials.drop_duplicates("key").set_index("key")["train_nll_last"]
    both = pd.concat([last, headline], axis=1).dropna()
    return bool((both.iloc[:, 0] != both.iloc[:, 1]).any())
