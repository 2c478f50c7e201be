"""Figure: what each placement changes against the baseline, paired by seed, a row a placement.

The other figures draw each mean with its own interval, and two such intervals may overlap where the
paired difference is clear, since the seeds' common part is in both. These are the table's numbers.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.axes import (
    LONGEST_NAME,
    draw_interval,
    draw_mean,
    draw_seeds,
    key_to_kinds,
)
from ablate.report.columns import measured
from ablate.report.combination import require_one
from ablate.report.kinds import edge_group
from ablate.report.names import short, shortened
from ablate.report.numbers import signed
from ablate.report.reach import bound_of_differences
from ablate.report.statistics import (
    PLACEMENT,
    SIGNIFICANT,
    Differences,
    Summary,
    baseline_of,
    same_trials,
)
from ablate.report.style import DIVERGED, FAINT, SMALL, WIDTH, styled
from ablate.report.sweeps import spotlight
from ablate.status import Status

_METRIC = "valid_ppl"
_written = measured("difference", signed)


@styled
def paired_differences(trials: pd.DataFrame) -> Figure:
    """Draw each placement's validation perplexity minus the baseline's, the lowest at the top.

    A mark is the mean over pairs of equal seed, a pale point a pair, a bar the interval that the
    table prints, the dashed line the baseline. A placement without a pair has a word in their
    place. `trials` holds one combination with a finished baseline.
    """
    rows = paired_rows(trials)
    end = bound_of_differences(trials)
    figure = Figure(figsize=(WIDTH, 1.2 + 0.21 * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.0, color=FAINT, lw=0.9, ls=(0, (4, 3)), zorder=1.5)
    for place, (_, row) in enumerate(rows.iterrows()):
        _draw_row(axes, row, float(place), end)
    texts = shortened(rows["label"], LONGEST_NAME)
    axes.set(ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)))
    axes.set_yticklabels([texts[label] for label in rows["label"]])
    for text, placement in zip(axes.get_yticklabels(), rows["placement"], strict=True):
        text.set_color(edge_group(placement).colour)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "difference of validation perplexity (per word) to "
        f"{short(baseline_label(trials), LONGEST_NAME)}, left is better"
    )
    key_to_kinds(figure, rows["placement"])
    return figure


def paired_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a placement other than the baseline, as `Differences` has it, the lowest first.

    Placements without a pair come last, with no difference.
    """
    require_one(trials)
    summary = Summary((_METRIC,))(trials)
    marked = summary["baseline"].astype(bool)
    # Under another name, too, the baseline is no comparison.
    same = [
        baseline or any(same_trials(keys, own) for own in summary.loc[marked, "keys"])
        for baseline, keys in zip(marked, summary["keys"], strict=True)
    ]
    shown = spotlight(summary.assign(same=same))
    # All placements are the family of the moderated test, whichever are shown.
    found = Differences(_METRIC)(trials).drop(columns="placement")
    rows = shown[~shown["same"]].drop(columns="same").merge(found, on=list(PLACEMENT), how="left")
    rows["difference"] = rows["difference"].astype(float)
    return rows.sort_values("difference", kind="stable", ignore_index=True, na_position="last")


def has_pairs(trials: pd.DataFrame) -> bool:
    """Whether a placement shares a seed with the baseline."""
    return not trials.empty and bool((Differences(_METRIC)(trials)["pairs"] > 0).any())


def baseline_label(trials: pd.DataFrame) -> str:
    """The name of the placement to which differences are; empty where it has not finished."""
    against = baseline_of(trials[trials["status"] == Status.OK])
    return "" if against is None else str(against["label"].iloc[0])


def _draw_row(axes: Axes, row: pd.Series, y: float, end: float) -> None:
    placement = row["placement"]
    beside: dict[str, Any] = {"va": "center", "fontsize": SMALL}
    if np.isnan(row["difference"]):
        lost = [f"{row[name]} {name}" for name in (Status.DIVERGED, Status.FAILED) if row[name]]
        axes.annotate(
            ", ".join(lost) or "no pair yet", (0.0, y), xytext=(6, 0), textcoords="offset points",
            color=DIVERGED if lost else FAINT, **beside,
        )  # fmt: skip
        return
    values = np.array(row["difference_values"])
    far = bool((np.abs(values) > end).any())
    draw_seeds(axes, np.clip(values, -end, end), np.full(len(values), y), placement)
    if not far:
        draw_interval(axes, (row["difference_low"], row["difference_high"]), (y, y), placement)
    draw_mean(axes, float(np.clip(row["difference"], -end, end)), y, placement, far=far)
    decided = row["p_holm"] < SIGNIFICANT
    axes.text(
        1.015, y, _written(row).whole, transform=axes.get_yaxis_transform(),
        fontweight="bold" if decided else "normal", **beside,
    )  # fmt: skip
