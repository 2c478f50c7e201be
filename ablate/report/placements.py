"""Figure: gap and validation perplexity of every placement, one row each."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.axes import (
    GAP,
    LONGEST_NAME,
    VALID_PERPLEXITY,
    draw_baseline,
    draw_interval,
    draw_seeds,
    key_to_kinds,
    perplexity_axis,
    seed_values,
)
from ablate.report.kinds import edge_group
from ablate.report.names import shortened
from ablate.report.reach import within_reach
from ablate.report.style import WIDTH, styled
from ablate.report.sweeps import spotlight
from ablate.report.tradeoff import tradeoff_rows


@styled
def gap_by_placement(trials: pd.DataFrame) -> Figure:
    """Draw each placement's overfitting gap and validation perplexity, least gap at the top.

    A tick is the mean, a pale point a seed, a bar a 95 % t interval (from three seeds on); dashed
    lines are the baseline. `trials` holds one combination.
    """
    rows = within_reach(gap_rows(trials))
    figure = Figure(figsize=(WIDTH, 1.0 + 0.21 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, metric in ((left, "gap"), (right, "valid_ppl")):
        draw_baseline(axes, rows, metric, "x")
        for index, row in rows.iterrows():
            _draw_row(axes, row, metric, float(str(index)))
    left.set(xlabel=GAP, ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)))
    texts = shortened(rows["label"], LONGEST_NAME)
    left.set_yticklabels([texts[label] for label in rows["label"]])
    for text, placement in zip(left.get_yticklabels(), rows["placement"], strict=True):
        text.set_color(edge_group(placement).colour)
    right.set_xlabel(VALID_PERPLEXITY)
    perplexity_axis(right, "x", seed_values(rows, "valid_ppl"))
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0)
    key_to_kinds(figure, rows["placement"])
    return figure


def gap_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a placement that is shown: its gaps and validation perplexities, least gap first."""
    shown = spotlight(tradeoff_rows(trials))
    return shown.sort_values("gap", kind="stable", ignore_index=True)


def _draw_row(axes: Axes, row: pd.Series, metric: str, y: float) -> None:
    placement, mean = row["placement"], row[metric]
    draw_seeds(axes, row[f"{metric}_values"], [y] * row["n"], placement)
    draw_interval(axes, (row[f"{metric}_low"], row[f"{metric}_high"]), (y, y), placement)
    # Dotted, where it lies beyond the axis.
    style = {"color": edge_group(placement).colour, "lw": 1.6, "ls": ":" if row["far"] else "-"}
    axes.plot([mean, mean], [y - 0.3, y + 0.3], zorder=4, **style)
