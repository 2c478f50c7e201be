"""Figure: validation perplexity by dial, the rate that a sweep of a strategy turns."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.report.axes import (
    LONGEST_NAME,
    VALID_PERPLEXITY,
    baseline_level,
    draw_baseline,
    draw_interval,
    draw_mean,
    draw_seeds,
    key_to_kinds,
    panel_grid,
    perplexity_axis,
    seed_values,
)
from ablate.report.combination import require_one
from ablate.report.kinds import SILENT
from ablate.report.names import short, shortened
from ablate.report.placing import PointName, write_names
from ablate.report.reach import within_reach
from ablate.report.statistics import Summary
from ablate.report.style import FAINT, RULE, SMALL, WIDTH, settle, styled
from ablate.report.sweeps import Curve, curves_of, side_by_side

DIAL = "dial (probability of dropping)"

# With more sweeps than this in one panel the lines cannot be followed: each gets its own.
SWEEPS_IN_ONE_PANEL = 6
_COLUMNS = 4


@styled
def by_dial(trials: pd.DataFrame) -> Figure:
    """Draw validation perplexity by dial: a line a sweep, a pale point a seed, names beside them.

    Placements without a dial stand in a strip of their own; the baseline is the dashed line.
    Bars are 95 % t intervals, from three seeds on. `trials` holds one combination.
    """
    summary = within_reach(dial_rows(trials))
    dialled = curves_of(summary[summary["dial_value"].notna()])
    fixed = [
        Curve(str(row["label"]), summary.loc[[index]], (float(place),))
        for place, (index, row) in enumerate(summary[summary["dial_value"].isna()].iterrows())
    ]
    swept = [curve for curve in dialled if len(curve.x) > 1]
    if len(swept) > SWEEPS_IN_ONE_PANEL:
        return _panel_each(swept, dialled, summary)
    return _one_panel(side_by_side(dialled), fixed, summary)


def dial_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a placement with a finished trial: its dial and its validation perplexities."""
    require_one(trials)
    summary = Summary(("valid_ppl",))(trials)
    summary = summary[summary["n"] > 0]
    # A silent placement is every strategy with its dial at zero.
    dial = summary["dial_value"].mask(summary["placement"] == SILENT, 0.0)
    return summary.assign(dial_value=dial.astype(float))


def _one_panel(curves: list[Curve], fixed: list[Curve], summary: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    parts = [part for part in (curves, fixed) if part] or [[]]
    widths = [max(4.0, 10.0 - len(fixed)), max(2.0, len(fixed))] if len(parts) == 2 else [1.0]
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False, width_ratios=widths)[0]
    perplexity_axis(panels[0], "y", seed_values(summary, "valid_ppl"))
    panels[0].set_ylabel(VALID_PERPLEXITY)
    for panel, part in zip(panels, parts, strict=True):
        _strip_axis(panel, part) if part is fixed else _dial_axis(panel, part)
        for curve in part:
            _draw(panel, curve)
        draw_baseline(panel, summary, "valid_ppl", "y")
    key_to_kinds(figure, summary["placement"])
    settle(figure)
    for panel, part in zip(panels, parts, strict=True):
        _write_names(panel, part, summary)
    return figure


def _panel_each(curves: list[Curve], context: list[Curve], summary: pd.DataFrame) -> Figure:
    figure, panels = panel_grid(len(curves), columns=_COLUMNS, height=1.5)
    perplexity_axis(panels[0, 0], "y", seed_values(summary, "valid_ppl"))
    titles = shortened((curve.name for curve in curves), LONGEST_NAME)
    for panel, curve in zip(panels.flat, curves, strict=False):
        _dial_axis(panel, context)
        panel.set_xlabel("")
        for other in context:
            dot = "o" if len(other.x) == 1 else None
            panel.plot(*other.points.T, color=RULE, lw=0.8, marker=dot, ms=3, zorder=1)
        draw_baseline(panel, summary, "valid_ppl", "y")
        _draw(panel, curve)
        title = textwrap.fill(titles[curve.name], 24)
        panel.set_title(title, color=curve.colour, fontsize=SMALL, pad=3)
    key_to_kinds(figure, [text for curve in curves for text in curve.rows["placement"]])
    figure.supxlabel(DIAL, fontsize="medium")
    figure.supylabel(VALID_PERPLEXITY, fontsize="medium")
    return figure


def _dial_axis(panel: Axes, curves: list[Curve]) -> None:
    values = [x for curve in curves for x in curve.x] or [0.5]
    left = -0.03 if min(values) < 0.03 else 0.0
    panel.set(xlim=(left, min(1.0, max(values) + 0.12)), xlabel=DIAL)


def _strip_axis(panel: Axes, curves: list[Curve]) -> None:
    panel.set(xlim=(-0.7, len(curves) - 0.3), xticks=[], xlabel="no dial")


def _draw(panel: Axes, curve: Curve) -> None:
    panel.plot(*curve.points.T, color=curve.colour, zorder=2)
    seeds = curve.seeds
    draw_seeds(panel, seeds[:, 0], seeds[:, 1], curve.placement)
    for x, (_, row) in zip(curve.x, curve.rows.iterrows(), strict=True):
        ends = (row["valid_ppl_low"], row["valid_ppl_high"])
        draw_interval(panel, (x, x), ends, row["placement"])
        draw_mean(panel, x, row["valid_ppl"], row["placement"], far=row["far"])


def _write_names(panel: Axes, curves: list[Curve], summary: pd.DataFrame) -> None:
    """Write each curve's name beside its last point and the baseline's beside its line."""
    ends = [(curve.x[-1], float(curve.points[-1, 1])) for curve in curves]
    texts = shortened((curve.name for curve in curves), LONGEST_NAME)
    names = [
        PointName(x, y, texts[curve.name], curve.colour)
        for (x, y), curve in zip(ends, curves, strict=True)
    ]
    lines = [curve.points for curve in curves]
    lines += [
        np.array([(x, row["valid_ppl_low"]), (x, row["valid_ppl_high"])])
        for curve in curves
        for x, (_, row) in zip(curve.x, curve.rows.iterrows(), strict=True)
        if np.isfinite(row["valid_ppl_low"])
    ]
    level = baseline_level(summary, "valid_ppl")
    if level is not None:
        left, right = panel.get_xlim()
        lines.append(np.array([(left, level.mean), (right, level.mean)]))
        # A silent baseline has its name at zero.
        spec = panel.get_subplotspec()
        if not level.silent and spec is not None and spec.is_first_col():
            text = f"baseline {short(level.label, LONGEST_NAME)}"
            names.append(PointName(left + 0.02 * (right - left), level.mean, text, FAINT))
    points = [points for curve in curves for points in (curve.seeds, curve.points)]
    write_names(panel, names, points=np.concatenate(points), lines=lines)
