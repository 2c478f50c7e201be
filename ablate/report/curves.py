"""Figure: learning curves, train (dropout off) against validation, a panel a placement."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from scipy.stats import gmean

from ablate.quantities import perplexity
from ablate.report.axes import LONGEST_NAME, key, panel_grid, perplexity_axis
from ablate.report.combination import require_one
from ablate.report.names import short, shortened
from ablate.report.numbers import nats
from ablate.report.reach import REACH_OF_CURVES, bound
from ablate.report.statistics import PLACEMENT, Summary, baseline_of
from ablate.report.style import DIVERGED, FAINT, PAPER, SMALL, TRAIN, VALID, styled
from ablate.report.sweeps import spotlight
from ablate.status import Status

_COLUMNS = 4
_SPLITS = {"train": TRAIN, "valid": VALID}


@styled
def learning_curves(trials: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Draw perplexity by epoch on a logarithmic axis, every seed a thin line, the mean a thick one.

    The band between the means of train and validation is the overfitting gap in nats. The mean of
    the baseline's validation is repeated as a dashed line; a diverged trial is drawn as far as it
    came. `trials` holds one combination, `epochs` the curves of their keys.
    """
    require_one(trials)
    summary = spotlight(Summary(("valid_ppl", "gap"))(trials))
    figure, panels = panel_grid(len(summary), columns=_COLUMNS, height=1.35)
    curves = _curves_of(trials, epochs)
    finished = curves[curves["status"] == Status.OK]
    limits = curves if finished.empty else finished
    if len(limits):
        values = limits[[*_SPLITS]].to_numpy().ravel()
        # Room for the notes in the corner.
        perplexity_axis(panels[0, 0], "y", [*values, 0.85 * values.min()], log=True)
    baseline = baseline_of(trials[trials["status"] == Status.OK])
    titles = shortened(summary["label"], LONGEST_NAME)
    for panel, (_, row) in zip(panels.flat, summary.iterrows(), strict=False):
        own = trials[(trials[list(PLACEMENT)] == row[list(PLACEMENT)]).all(axis=1)]
        if baseline is not None and not row["baseline"]:
            _draw_reference(panel, curves[curves["key"].isin(baseline["key"])])
        _draw_finished(panel, finished[finished["key"].isin(own["key"])])
        lost = curves[(curves["status"] == Status.DIVERGED) & curves["key"].isin(own["key"])]
        _draw_diverged(panel, lost)
        panel.set_title(textwrap.fill(titles[row["label"]], 24), fontsize=SMALL, pad=3)
        panel.set(xlabel="", ylabel="")
        _note(panel, row)
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.supxlabel("epoch", fontsize="medium")
    figure.supylabel("perplexity (per word)", fontsize="medium")
    key(figure, _handles(trials, baseline))
    return figure


def curve_rows(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """One row a placement that is shown, seed and epoch: perplexities of train and validation."""
    require_one(trials)
    shown = spotlight(Summary(("valid_ppl", "gap"))(trials))[list(PLACEMENT)]
    named = trials.merge(shown, on=list(PLACEMENT))
    named = named[[*PLACEMENT, "label", "placement", "seed", "status", "key", "best_epoch"]]
    measured = epochs[["key", "epoch", "train_nll", "valid_nll"]]
    rows = named.merge(measured, on="key").drop(columns="key")
    nll = rows[["train_nll", "valid_nll"]].to_numpy(dtype=np.float64)
    return rows.assign(train_ppl=perplexity(nll[:, 0]), valid_ppl=perplexity(nll[:, 1]))


def _curves_of(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """The epochs of trials as perplexities `train` and `valid`, as far as an axis can hold them.

    What is no number is left out.
    """
    names = trials[["key", "seed", "status", "best_epoch"]].drop_duplicates("key")
    curves = epochs.merge(names, on="key").sort_values(by=["seed", "epoch"])
    nll = curves[["train_nll", "valid_nll"]].to_numpy(dtype=np.float64)
    known = ~np.isnan(nll).any(axis=1)
    perplexities = perplexity(nll[known])
    perplexities = np.minimum(perplexities, bound(perplexities.ravel(), REACH_OF_CURVES))
    return curves[known].assign(train=perplexities[:, 0], valid=perplexities[:, 1])


def _draw_reference(panel: Axes, curves: pd.DataFrame) -> None:
    """Draw the mean of the baseline's validation."""
    mean = curves.groupby("epoch")["valid"].agg(gmean)
    panel.plot(mean.index, mean, color=FAINT, lw=0.8, ls=(0, (4, 3)), zorder=1.5)


def _draw_finished(panel: Axes, curves: pd.DataFrame) -> None:
    """Draw each seed, the means over seeds (of nats), the band between them, the lowest points."""
    if curves.empty:
        return
    # A curve of few epochs is hardly a line.
    dot = "." if curves["epoch"].max() <= 3 else None
    means = curves.groupby("epoch")[[*_SPLITS]].agg(gmean)
    for split, colour in _SPLITS.items():
        seeds = curves.pivot(index="epoch", columns="key", values=split)
        panel.plot(seeds.index, seeds, color=colour, lw=0.6, alpha=0.6, zorder=2)
        panel.plot(means.index, means[split], color=colour, lw=1.4, marker=dot, zorder=3)
    panel.fill_between(
        means.index, means["train"], means["valid"], color=FAINT, alpha=0.13, lw=0, zorder=1
    )
    lowest = curves[curves["epoch"] == curves["best_epoch"]]
    panel.plot(
        lowest["epoch"], lowest["valid"], ls="", marker="o", ms=4, mfc=PAPER, mec=VALID, mew=0.9,
        zorder=4,
    )  # fmt: skip


def _draw_diverged(panel: Axes, curves: pd.DataFrame) -> None:
    """Draw each diverged trial as far as it came, and a cross where it ended."""
    # It leaves the panel at the top; drawn along the edge, it is still seen.
    edge = panel.get_ylim()[1] * 0.96
    for _, curve in curves.groupby("key"):
        for split in _SPLITS:
            shown = np.minimum(curve[split].to_numpy(), edge)
            panel.plot(curve["epoch"], shown, color=DIVERGED, lw=1.0, ls=":", zorder=2)
        last = curve.iloc[-1]
        panel.plot(
            [last["epoch"]], [min(last["valid"], edge)], color=DIVERGED, marker="x", ms=5, zorder=4
        )


def _note(panel: Axes, row: pd.Series) -> None:
    """Write the gap, and what did not finish, into the corner below the falling curves."""
    lines = [
        (f"{row[status]} {status}", DIVERGED)
        for status in (Status.FAILED, Status.DIVERGED)
        if row[status]
    ]
    if row["n"]:
        lines.insert(0, (f"gap {nats(row['gap'], 2)}", FAINT))
    for index, (text, colour) in enumerate(lines):
        at = {"xy": (0.04, 0.05), "xycoords": "axes fraction", "textcoords": "offset points"}
        panel.annotate(text, xytext=(0, 9 * index), fontsize=SMALL, color=colour, **at)


def _handles(trials: pd.DataFrame, baseline: pd.DataFrame | None) -> list[Artist]:
    handles: list[Artist] = [
        Line2D([], [], color=TRAIN, label="train (dropout off)"),
        Line2D([], [], color=VALID, label="validation"),
        Patch(color=FAINT, alpha=0.2, lw=0, label="overfitting gap (nats)"),
        Line2D([], [], ls="", marker="o", ms=4, mfc=PAPER, mec=VALID, label="lowest validation"),
    ]
    if baseline is not None:
        label = f"validation, {short(str(baseline['label'].iloc[0]), LONGEST_NAME)}"
        handles.append(Line2D([], [], color=FAINT, lw=0.9, ls=(0, (4, 3)), label=label))
    if (trials["status"] == Status.DIVERGED).any():
        handles.append(Line2D([], [], color=DIVERGED, lw=0.9, ls=":", marker="x", label="diverged"))
    return handles
