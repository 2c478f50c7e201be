"""Leave one edge out: what a bundle of edges loses without each of them, by seed.

A bundle is a strategy at one set of arguments; beside it stand the same arguments "without" an
edge. The difference is "bundle less edge" minus bundle, so that above zero the edge helps. Trials
of one seed are pairs, and the edges of one bundle are one family of Holm's correction.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ablate.facts import canonical_json
from ablate.report.axes import LONGEST_NAME
from ablate.report.columns import Column, Entry, counted, measured
from ablate.report.combination import Combination
from ablate.report.names import shortened
from ablate.report.numbers import NOTHING, p_value, perplexity, signed
from ablate.report.panel import Panel
from ablate.report.reach import bound_of_differences
from ablate.report.statistics import PLACEMENT, SEEDS_FOR_INTERVAL, Differences, seed_mean
from ablate.report.style import DIVERGED, FAINT, PAPER, SMALL, VALID, WIDTH, styled
from ablate.status import Status
from ablate.study.points import WITHOUT

NAME = "leave-one-out"
TITLE = "What a bundle of edges loses without each of them"

_METRIC = "valid_ppl"
_VALUES = "difference_values"
_AXIS = "change of validation perplexity without the edge"


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """The trials of a bundle, and of the same with an edge left out; `label` is the whole's.

    `trials` have one row for each point and seed; `edge` of a row is what it leaves out, or "".
    """

    label: str
    trials: pd.DataFrame


def bundles_of(trials: pd.DataFrame) -> tuple[Bundle, ...]:
    """The bundles of a combination of which an edge was left out, in the order of the study."""
    facts = [json.loads(arguments) for arguments in trials["arguments"]]
    edges = [str(given.pop(WITHOUT, "")) for given in facts]
    if not any(edges):
        return ()
    wholes = [canonical_json(given) for given in facts]
    rows = trials.assign(edge=edges, whole=wholes)
    return tuple(_bundles(rows.sort_values(["position", "seed"], kind="stable")))


def differences_of(part: Combination) -> pd.DataFrame:
    """One row a bundle and edge, in each bundle the edge that helps most first.

    Columns: `bundle` (its label), `bundle_ppl` (its mean validation perplexity over seeds), `edge`,
    `diverged` and `failed` (trials without the edge), `missing` (not run yet), and those of
    `statistics.Differences`: perplexity without the edge minus the bundle's; `p_holm` is over the
    edges of the bundle. Edges without a finished pair come last, with no difference.
    """
    parts = [_rows(bundle) for bundle in bundles_of(part.trials)]
    waiting = part.missing.groupby(list(PLACEMENT)).size().rename("missing")
    if not parts:
        return pd.DataFrame()
    rows = pd.concat(parts, ignore_index=True).merge(waiting, on=list(PLACEMENT), how="left")
    return rows.assign(missing=rows["missing"].fillna(0).astype(int))


def leave_one_out_panel(part: Combination) -> Panel | None:
    """The table of what each edge brings; None where no edge of a finished bundle was left out."""
    rows = differences_of(part)
    if rows.empty or not (rows["pairs"] > 0).any():
        return None
    columns = [
        Column("bundle", "", lambda row: Entry(str(row["bundle"])), left=True),
        Column("without", "", lambda row: Entry(str(row["edge"])), left=True),
        Column("difference", "ppl", measured("difference", signed)),
        Column("whole", "ppl", lambda row: Entry(perplexity(row["bundle_ppl"]))),
        Column("pairs", "", lambda row: Entry(f"{row['pairs']:.0f}" if row["pairs"] else NOTHING)),
    ]
    for lost in (Status.DIVERGED, Status.FAILED, "missing"):
        if (rows[lost] > 0).any():
            columns.append(Column(str(lost), "", counted(str(lost))))
    if rows["p_holm"].notna().any():
        columns.append(Column("p", "Holm", lambda row: Entry(p_value(row["p_holm"]))))
    return Panel(NAME, TITLE, rows, tuple(columns), leave_one_out_caption(part))


def leave_one_out_caption(part: Combination) -> str:
    """What is subtracted from what, how it was averaged, and what did not finish."""
    rows = differences_of(part)
    intervals = bool((rows["pairs"] >= SEEDS_FOR_INTERVAL).any())
    parts = [
        "Validation perplexity of the bundle less the edge minus that of the bundle, paired by "
        "seed: above zero the edge helps, since leaving it out costs.",
        "Means over seeds with 95 % intervals of the moderated t (three pairs or more), and its p "
        "after Holm's correction over the edges of one bundle."
        if intervals
        else "Means over seeds; too few seeds for intervals.",
    ]
    for lost, words in (("diverged", "diverged"), ("failed", "failed"), ("missing", "not run yet")):
        names = [
            f"{row['bundle']} without {row['edge']} ({row[lost]})"
            for _, row in rows[rows[lost] > 0].iterrows()
        ]
        if names:
            parts.append(f"Left out, {words}: {', '.join(names)}.")
    return " ".join(parts)


@styled
def leave_one_out(part: Combination) -> Figure:
    """Draw for each bundle and edge the change of validation perplexity when the edge is left out.

    A dot is the mean over pairs, a pale one a seed, a bar the interval (from three pairs on), the
    dashed line no change. An edge without a finished pair has a word in place of a dot. `part` has
    at least one bundle.
    """
    rows = differences_of(part)
    groups = [group for _, group in rows.groupby("bundle", sort=False)]
    names = shortened(rows["bundle"], LONGEST_NAME)
    figure = Figure(
        figsize=(WIDTH, 0.7 + 0.45 * len(groups) + 0.24 * len(rows)), layout="constrained"
    )
    heights = [len(group) + 0.2 for group in groups]
    end = bound_of_differences(part.trials)
    panels = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=heights)
    for axes, group in zip(panels[:, 0], groups, strict=True):
        axes.axvline(0.0, color=FAINT, lw=0.9, ls=(0, (4, 3)), zorder=1.5)
        for place, (_, row) in enumerate(group.iterrows()):
            _draw_row(axes, row, float(place), end)
        axes.set(ylim=(len(group) - 0.4, -0.6), yticks=range(len(group)))
        axes.set_yticklabels([f"without {edge}" for edge in group["edge"]])
        axes.tick_params(axis="y", length=0)
        label = names[group["bundle"].iloc[0]]
        axes.set_title(f"{label}, perplexity {perplexity(group['bundle_ppl'].iloc[0])}")
    panels[-1, 0].set_xlabel(_AXIS)
    return figure


def _bundles(rows: pd.DataFrame) -> Iterator[Bundle]:
    for _, own in rows.groupby(["strategy", "whole"], sort=False):
        whole = own[own["edge"] == ""]
        # An edge that the bundle does not have leaves out nothing.
        trials = own[(own["edge"] == "") | ~own["key"].isin(whole["key"])]
        if 0 < len(whole) < len(trials):
            yield Bundle(str(whole["label"].iloc[0]), trials)


def _rows(bundle: Bundle) -> pd.DataFrame:
    """The differences of one bundle, a row for each edge that was left out."""
    trials = bundle.trials
    found = Differences(_METRIC)(trials.assign(baseline=trials["edge"] == ""))
    finished = trials[(trials["edge"] == "") & (trials["status"] == Status.OK)]
    left_out = trials[trials["edge"] != ""]
    counts = left_out.groupby([*PLACEMENT, "edge"], sort=False)["status"].agg(
        diverged=lambda status: int((status == Status.DIVERGED).sum()),
        failed=lambda status: int((status == Status.FAILED).sum()),
    )
    rows = counts.reset_index().merge(found, on=list(PLACEMENT), how="left")
    numbers = [name for name in rows.columns[rows.columns.get_loc("pairs") :] if name != _VALUES]
    rows = rows.astype(dict.fromkeys(numbers, np.float64))
    rows["pairs"] = rows["pairs"].fillna(0).astype(int)
    rows = rows.sort_values("difference", ascending=False, kind="stable", na_position="last")
    mean = seed_mean(finished[_METRIC].dropna().to_list()).mean
    return rows.assign(bundle=bundle.label, bundle_ppl=mean)


def _draw_row(axes: Axes, row: pd.Series, y: float, end: float) -> None:
    """One edge; what lies beyond `end`, either way, is drawn there, hollow and without interval."""
    if not row["pairs"] or math.isnan(row["difference"]):
        lost = [f"{row[name]} {name}" for name in (Status.DIVERGED, Status.FAILED) if row[name]]
        axes.annotate(
            ", ".join(lost) or "no pair yet", (0.0, y), xytext=(6, 0), textcoords="offset points",
            va="center", fontsize=SMALL, color=DIVERGED if lost else FAINT,
        )  # fmt: skip
        return
    values = np.array(row[_VALUES])
    far = bool((np.abs(values) > end).any())
    axes.scatter(
        np.clip(values, -end, end), np.full(len(values), y), s=20, alpha=0.45, color=VALID,
        edgecolor=PAPER, linewidth=0.4, zorder=3,
    )  # fmt: skip
    ends = (row["difference_low"], row["difference_high"])
    if np.isfinite(ends).all() and not far:
        axes.plot(ends, [y, y], color=VALID, lw=1.1, zorder=2.5)
    look: dict[str, Any] = {"mfc": PAPER, "mec": VALID} if far else {"mfc": VALID, "mec": PAPER}
    mean = float(np.clip(row["difference"], -end, end))
    axes.plot([mean], [y], ls="", marker="o", ms=6, mew=0.8, zorder=4, **look)
