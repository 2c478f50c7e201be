"""Figure: overfitting gap against validation perplexity, one point a placement."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.axes import (
    GAP,
    LONGEST_NAME,
    VALID_PERPLEXITY,
    baseline_level,
    draw_baseline,
    draw_faint,
    draw_interval,
    draw_mean,
    draw_seeds,
    key_to_kinds,
    perplexity_axis,
    seed_values,
)
from ablate.report.combination import require_one
from ablate.report.kinds import edge_group
from ablate.report.names import shortened
from ablate.report.placing import PointName, write_names
from ablate.report.reach import within_reach
from ablate.report.statistics import Summary
from ablate.report.style import RULE, WIDTH, settle, styled
from ablate.report.sweeps import curves_of, spotlight

METRICS = ("gap", "valid_ppl")


@styled
def tradeoff(trials: pd.DataFrame) -> Figure:
    """Draw the gap (nats per token, train with dropout off) against validation perplexity.

    A mark is a placement's mean, a pale point a seed, a thin line a sweep of one dial; crosses are
    95 % t intervals, from three seeds on. Where there are too many placements to name, all but the
    best of each sweep are small and faint. `trials` holds one combination.
    """
    summary = within_reach(tradeoff_rows(trials))
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    axes = figure.subplots()
    perplexity_axis(axes, "y", seed_values(summary, "valid_ppl"))
    gaps = seed_values(summary, "gap")
    margin = 0.1 * (max(gaps) - min(gaps)) or 0.1
    axes.set(xlim=(min(gaps) - margin, max(gaps) + margin), xlabel=GAP, ylabel=VALID_PERPLEXITY)
    for metric, which in (("gap", "x"), ("valid_ppl", "y")):
        draw_baseline(axes, summary, metric, which)
    named = spotlight(summary)
    others = summary[~summary.index.isin(named.index)]
    lines = [_means(sweep.rows) for sweep in curves_of(named[named["dial_value"].notna()])]
    for line in lines:
        axes.plot(*line.T, color=RULE, lw=1.0, zorder=1.8)
    points = [_means(summary)]
    for _, row in named.iterrows():
        points.append(np.column_stack([row["gap_values"], row["valid_ppl_values"]]))
        _draw(axes, row)
    for _, row in others.iterrows():
        draw_faint(axes, row["gap"], row["valid_ppl"], row["placement"])
    key_to_kinds(figure, summary["placement"])
    settle(figure)
    texts = shortened(named["label"], LONGEST_NAME)
    names = [
        PointName(
            row["gap"], row["valid_ppl"], texts[row["label"]], edge_group(row["placement"]).colour
        )
        for _, row in named.iterrows()
    ]
    lines += _across(axes, summary) + _crosses(named)
    write_names(axes, names, points=np.concatenate(points), lines=lines)
    return figure


def tradeoff_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a placement with a finished trial: its gaps and its validation perplexities."""
    require_one(trials)
    summary = Summary(METRICS)(trials)
    return summary[summary["n"] > 0]


def _means(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(METRICS)].to_numpy(dtype=np.float64)


def _draw(axes: Axes, row: pd.Series) -> None:
    gap, perplexity, placement = row["gap"], row["valid_ppl"], row["placement"]
    across, upright = (
        (row["gap_low"], row["gap_high"]),
        (row["valid_ppl_low"], row["valid_ppl_high"]),
    )
    draw_seeds(axes, row["gap_values"], row["valid_ppl_values"], placement)
    draw_interval(axes, across, (perplexity, perplexity), placement)
    draw_interval(axes, (gap, gap), upright, placement)
    draw_mean(axes, gap, perplexity, placement, far=row["far"])


def _across(axes: Axes, summary: pd.DataFrame) -> list[np.ndarray]:
    """The baseline's two dashed lines, from edge to edge."""
    gap, perplexity = baseline_level(summary, "gap"), baseline_level(summary, "valid_ppl")
    if gap is None or perplexity is None:
        return []
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return [
        np.array([(gap.mean, bottom), (gap.mean, top)]),
        np.array([(left, perplexity.mean), (right, perplexity.mean)]),
    ]


def _crosses(summary: pd.DataFrame) -> list[np.ndarray]:
    """The intervals of every placement, as lines; none below three seeds."""
    lines = []
    for _, row in summary.iterrows():
        across = [(row[f"gap_{end}"], row["valid_ppl"]) for end in ("low", "high")]
        upright = [(row["gap"], row[f"valid_ppl_{end}"]) for end in ("low", "high")]
        lines += [np.array(line) for line in (across, upright) if np.isfinite(line).all()]
    return lines
