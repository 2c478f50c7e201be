"""Figures of a two-level design: every effect with its interval, and a map of the interactions."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ablate.edges import Edge
from ablate.report.axes import key
from ablate.report.effects import MAIN, RESPONSES, name_of
from ablate.report.kinds import EDGE_GROUPS, group_of
from ablate.report.numbers import signed_nats
from ablate.report.statistics import SIGNIFICANT
from ablate.report.style import BRIGHT, CHANGES, DARK, FAINT, PAPER, SMALL, WIDTH, styled
from ablate.report.sweeps import MOST

_LABELS = {
    "valid_nll": "effect on validation loss (nats per token)",
    "gap": "effect on overfitting gap (nats per token)",
}


@styled
def effects_with_intervals(effects: pd.DataFrame) -> Figure:
    """Draw effects on the loss and on the gap, a row each: mains first, the largest at the top.

    `effects` as `effects.estimate` gives them; those without numbers are not drawn, and of more
    than thirty the smallest interactions are left out.
    """
    rows = effects[effects["valid_nll"].notna()].head(MOST).reset_index(drop=True)
    mains = int((rows["kind"] == MAIN).sum())
    # A gap between mains and interactions.
    places = [place + (0.6 if place >= mains else 0.0) for place in range(len(rows))]
    figure = Figure(figsize=(WIDTH, 1.1 + 0.21 * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(RESPONSES), sharey=True)
    for axes, name in zip(panels, RESPONSES, strict=True):
        axes.axvline(0.0, color=FAINT, lw=0.9, ls=(0, (4, 3)), zorder=1.5)
        for place, (_, row) in zip(places, rows.iterrows(), strict=True):
            _draw_effect(axes, row, name, place)
        axes.set(xlabel=_LABELS[name])
        axes.tick_params(axis="y", length=0)
    panels[0].set(ylim=(places[-1] + 0.6, -0.6), yticks=places)
    panels[0].set_yticklabels(rows["effect"])
    for text, term in zip(panels[0].get_yticklabels(), rows["term"], strict=True):
        text.set_color(group_of(term).colour)
    groups = {group_of(term) for term in rows["term"]}
    colours = [group for group in EDGE_GROUPS if group in groups]
    line = {"ls": "", "marker": "o", "ms": 6}
    key(
        figure,
        [
            *(Line2D([], [], color=group.colour, label=group.words, **line) for group in colours),
            Line2D([], [], color=FAINT, label="main effect", **line),
            Line2D([], [], color=FAINT, mfc=PAPER, label="interaction", **line),
        ],
    )
    return figure


@styled
def interaction_map(effects: pd.DataFrame) -> Figure:
    """Draw the effects on the loss as a symmetric map of the edges: [edges, edges].

    The diagonal has the main effects, the rest the interactions; a cell is framed, and its number
    bold, where the effect is told apart from zero, and empty where it is aliased.
    """
    edges = [edge for edge in Edge if edge in set(effects["term"])]
    names = [name_of(edge) for edge in edges]
    values = np.full((len(edges), len(edges)), np.nan)
    decided = np.zeros(values.shape, dtype=bool)
    for _, row in effects.iterrows():
        at = [edges.index(edge) for edge in row["term"]]
        first, last = at[0], at[-1]
        values[[first, last], [last, first]] = row["valid_nll"]
        decided[[first, last], [last, first]] = row["p_holm"] < SIGNIFICANT
    side = 0.62 * len(edges)
    size = (min(WIDTH, 2.4 + side), max(2.7, 1.1 + 0.8 * side))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    # Equal ends centre the colours at zero; seaborn's `center` calls what matplotlib deprecates.
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    texts = [[signed_nats(value) for value in row] for row in values]
    sns.heatmap(
        pd.DataFrame(values, index=pd.Index(names), columns=pd.Index(names)),
        annot=np.array(texts), fmt="", annot_kws={"fontsize": SMALL}, mask=np.isnan(values),
        cmap=CHANGES, vmin=-most, vmax=most, linewidths=1.2, linecolor=PAPER,
        cbar_kws={"label": _LABELS["valid_nll"].replace(" (", "\n("), "shrink": 0.9}, ax=axes,
    )  # fmt: skip
    numbers = {text.get_position(): text for text in axes.texts}
    for text in numbers.values():
        # White proper is the page's paper, which may be dark; the cells' colours stay.
        text.set_color(BRIGHT if text.get_color() == "w" else DARK)
    for row, column in zip(*np.nonzero(decided), strict=True):
        frame = Rectangle(
            (column + 0.04, row + 0.06), 0.92, 0.88, fill=False, lw=1.1, zorder=4,
            edgecolor=numbers[column + 0.5, row + 0.5].get_color(),
        )  # fmt: skip
        axes.add_patch(frame)
        numbers[column + 0.5, row + 0.5].set_fontweight("bold")
    for row, column in zip(*np.nonzero(np.isnan(values)), strict=True):
        axes.text(
            column + 0.5, row + 0.5, "aliased", ha="center", va="center", color=FAINT,
            fontsize=SMALL,
        )  # fmt: skip
    axes.grid(False)
    axes.tick_params(length=0, rotation=0)
    axes.tick_params(axis="x", rotation=0 if max(map(len, names)) * len(names) < 60 else 30)
    return figure


def _draw_effect(axes: Axes, row: pd.Series, name: str, y: float) -> None:
    colour = group_of(row["term"]).colour
    axes.plot([row[f"{name}_low"], row[f"{name}_high"]], [y, y], color=colour, lw=1.1, zorder=2.5)
    fill = colour if row["kind"] == MAIN else PAPER
    axes.plot([row[name]], [y], marker="o", ms=5, color=colour, mfc=fill, mew=1.0, zorder=4)
