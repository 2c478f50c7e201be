"""What figures have in common: perplexity axes, the key to kinds, seeds, intervals, baseline."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ablate.report.kinds import (
    EDGE_GROUPS,
    MASK_LIFETIMES,
    NOWHERE,
    SILENT,
    edge_group,
    mask_lifetime,
)
from ablate.report.style import FAINT, PAPER, WIDTH

Numbers = Sequence[float] | np.ndarray

VALID_PERPLEXITY = "validation perplexity (per word)"
GAP = "overfitting gap (nats per token)"

# Beyond this ratio of the highest to the lowest value a perplexity axis is logarithmic.
_LINEAR_RATIO = 2.5
_LOG_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5), (1, 1.5, 2, 3, 4, 5, 6, 8), (*range(1, 10),))
_MOST_TICKS = 6

# The longest name beside a point, in a title or in a key; the table has it in full.
LONGEST_NAME = 30


class BaselineLevel(NamedTuple):
    """The baseline's mean of a metric, its label, and whether it drops nothing."""

    mean: float
    label: str
    silent: bool


def baseline_level(summary: pd.DataFrame, metric: str) -> BaselineLevel | None:
    """The baseline's mean in a summary; None where it has not finished."""
    rows = summary[summary["baseline"].astype(bool) & (summary["n"] > 0)]
    if rows.empty:
        return None
    row = rows.iloc[0]
    return BaselineLevel(float(row[metric]), str(row["label"]), row["placement"] == SILENT)


def seed_values(summary: pd.DataFrame, metric: str) -> list[float]:
    """Every seed's value of a metric and the ends of its intervals: what an axis must hold."""
    seeds = [value for row in summary[f"{metric}_values"] for value in row]
    ends = summary[[f"{metric}_low", f"{metric}_high"]].to_numpy(dtype=np.float64)
    return seeds + ends[np.isfinite(ends)].tolist()


def perplexity_axis(
    axes: Axes, which: str, values: Iterable[float], *, log: bool | None = None
) -> None:
    """Fit the "x" or "y" axis to perplexities; logarithmic where they are far apart, or by `log`.

    Equal distances on the logarithmic axis are equal differences in nats; its ticks are round
    numbers written in full.
    """
    finite = np.array([value for value in values if np.isfinite(value)] or [1.0])
    low, high = float(finite.min()), float(finite.max())
    limits = getattr(axes, f"set_{which}lim")
    if not (high > _LINEAR_RATIO * low if log is None else log):
        margin = 0.08 * (high - low) or 0.02 * high
        limits(low - margin, high + margin)
        return
    margin = max(1.03, (high / low) ** 0.07)
    getattr(axes, f"set_{which}scale")("log")
    limits(low / margin, high * margin)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(round_ticks(low / margin, high * margin)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: _spell(value)))


def _spell(value: float) -> str:
    """A round number as ticks show it: `500`, `1e6`."""
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def round_ticks(
    low: float, high: float, steps: Iterable[Sequence[float]] = _LOG_STEPS, most: int = _MOST_TICKS
) -> list[float]:
    """The most round numbers between the limits, no more than `most`; `steps` are within a power
    of ten, from the roundest on."""
    ticks: list[float] = []
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for within in steps:
        finer = [step * 10.0**power for power in powers for step in within]
        finer = [tick for tick in finer if low <= tick <= high]
        if len(finer) <= most:
            ticks = finer
    return ticks


def look_of(placement: str) -> dict[str, Any]:
    """Colour and marker of a placement, as keywords of `Axes.plot`."""
    return {"color": edge_group(placement).colour, "marker": mask_lifetime(placement).marker}


def draw_seeds(axes: Axes, x: Numbers, y: Numbers, placement: str) -> None:
    """Draw one pale point a seed."""
    axes.scatter(
        x, y, s=20, alpha=0.5, edgecolor=PAPER, linewidth=0.4, zorder=3, **look_of(placement)
    )


def draw_mean(axes: Axes, x: float, y: float, placement: str, *, far: bool = False) -> None:
    """Draw the mean over seeds; hollow where it is `far` beyond the axis."""
    colour = edge_group(placement).colour
    fill, edge = (PAPER, colour) if far else (colour, PAPER)
    look: dict[str, Any] = {"marker": mask_lifetime(placement).marker, "mfc": fill, "mec": edge}
    axes.plot([x], [y], color=colour, ms=6, mew=0.8, zorder=4, **look)


def draw_faint(axes: Axes, x: float, y: float, placement: str) -> None:
    """Draw a mean that has no name: small and pale."""
    axes.plot([x], [y], ms=3, alpha=0.35, mew=0, zorder=2, **look_of(placement))


def draw_interval(
    axes: Axes, x: tuple[float, float], y: tuple[float, float], placement: str
) -> None:
    """Draw a t interval between two ends; nothing where there are too few seeds for one (nan)."""
    if np.isfinite([*x, *y]).all():
        axes.plot(x, y, color=edge_group(placement).colour, lw=1.1, zorder=2.5)


def draw_baseline(axes: Axes, summary: pd.DataFrame, metric: str, which: str) -> None:
    """Draw a dashed line at the baseline's mean, across the "x" or "y" axis."""
    level = baseline_level(summary, metric)
    if level is not None:
        line = axes.axhline if which == "y" else axes.axvline
        line(level.mean, color=FAINT, lw=0.9, ls=(0, (4, 3)), zorder=1.5)


def key_to_kinds(figure: Figure, placements: Iterable[str]) -> None:
    """Write the key to colours and markers above the axes, for the kinds that occur.

    No dropout has no entry: the baseline is written beside its line.
    """
    kinds = {(edge_group(placement), mask_lifetime(placement)) for placement in placements}
    kinds = {(place, time) for place, time in kinds if place is not NOWHERE}
    colours = [place for place in EDGE_GROUPS if place in {place for place, _ in kinds}]
    markers = [time for time in MASK_LIFETIMES if time in {time for _, time in kinds}]
    if not kinds:
        return
    key(
        figure,
        [
            *(
                Line2D([], [], ls="", marker="o", ms=6, color=p.colour, label=p.words)
                for p in colours
            ),
            *(
                Line2D([], [], ls="", marker=t.marker, ms=5, mfc="none", mec=FAINT, label=t.words)
                for t in markers
            ),
        ],
    )


def key(figure: Figure, handles: Sequence[Artist]) -> None:
    """Write a legend above all axes, where no data can lie under it: in one line if that fits."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    for lines in range(1, len(handles) + 1):
        legend = figure.legend(
            handles=handles,
            loc="outside upper left",
            ncols=-(-len(handles) // lines),
            handletextpad=0.4,
            handlelength=1.4,
            columnspacing=1.6,
            borderaxespad=0.1,
        )
        if legend.get_window_extent(renderer).width <= figure.bbox.width or lines == len(handles):
            return
        legend.remove()


def panel_grid(count: int, *, columns: int, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of `count` panels with shared axes, each `height` inches: [rows, columns].

    Places beyond the last panel stay blank, and the panel above a blank has the labels of x.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, 0.8 + height * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for panel in panels.flat[count:]:
        panel.set_visible(False)
    for panel in panels.flat[max(0, count - columns) : count]:
        panel.tick_params(labelbottom=True)
    return figure, panels
