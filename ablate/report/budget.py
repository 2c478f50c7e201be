"""Figure: the best of k tried points against the budget k, a panel a search.

A method that is better at sixteen points may be worse at four, and one chosen number hides it. The
line is the expected lowest validation loss of k points drawn from those tried (Dodge et al. 2019,
arXiv:1909.03004, eq. 3), the band bounds the median of the best of k for all k at once (Lourie et
al. 2023, arXiv:2311.09480): it inverts a simultaneous band of the distribution that the points come
from, and so it holds only where they were drawn independently. The default point is left out: no
sampler drew it.
"""

import textwrap
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ablate.quantities import perplexity
from ablate.report.axes import LONGEST_NAME, key, panel_grid, perplexity_axis
from ablate.report.combination import Combination
from ablate.report.kinds import edge_group
from ablate.report.names import shortened
from ablate.report.style import FAINT, RULE, SMALL, styled
from ablate.report.tuned import Search, searches_of, seed_words
from ablate.stages import RANDOM
from ablate.status import Status

LEVEL: Final = 0.95

_COLUMNS = 4
# A first point so many times the second says no more than that points may diverge.
_STEEP = 1.25
_SHARE = round(100 * LEVEL)


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    """A search's best-of-k: `line`, `low` and `high` are nats [points], at k = 1 ... points.

    `low` and `high` are nan where the band says nothing.
    """

    name: str
    line: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """The budgets k, [points]."""
        return np.arange(1, len(self.line) + 1)


def sampled_at_random(part: Combination) -> bool:
    """Whether the points were drawn independently, as bands need, and none was stopped early."""
    searches = searches_of(part)
    samplers = {sampler for search in searches for sampler in search.tried["sampler"].unique()}
    return samplers == {RANDOM} and not any(search.count(Status.PRUNED) for search in searches)


def expected_best(losses: np.ndarray) -> np.ndarray:
    """The expected lowest of k draws with replacement from `losses`, for k = 1 ... n: [n].

    Dodge et al. 2019, eq. 3, for losses: the i-th highest of n is the lowest of k draws with
    probability (i / n)^k - ((i - 1) / n)^k.
    """
    falling = np.sort(losses)[::-1]
    n = len(falling)
    shares = np.arange(n + 1) / n
    powers = shares[None, :] ** np.arange(1, n + 1)[:, None]
    return np.diff(powers, axis=1) @ falling


def bands_of(losses: np.ndarray, worst: float) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper band of the median best of k, for k = 1 ... n: [n] each.

    nan where a band is vacuous: beyond the points tried, or at `worst`, which is no better than
    what is known before anything is tried.
    """
    rising = np.sort(losses)
    found = []
    for ranks in _ranks(len(rising)):
        known = np.isfinite(ranks)
        band = np.full(len(rising), np.nan)
        band[known] = rising[ranks[known].astype(int)]
        found.append(np.where(band >= worst, np.nan, band))
    return found[0], found[1]


@cache
def _ranks(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Between which of n ordered losses (0 the lowest) the median best of k lies; inf for none.

    The band of the distribution depends on ranks alone, so equal n share one computation.
    """
    from opda.nonparametric import EmpiricalDistribution

    lower, _, upper = EmpiricalDistribution.confidence_bands(
        np.arange(n, dtype=np.float64), LEVEL, method="ld_equal_tailed",
        generator=np.random.default_rng(0), n_jobs=1,
    )  # fmt: skip
    budgets = np.arange(1, n + 1)
    # The more of the distribution may lie low, the lower the best may be.
    low = np.asarray(upper.quantile_tuning_curve(budgets, minimize=True), dtype=np.float64)
    high = np.asarray(lower.quantile_tuning_curve(budgets, minimize=True), dtype=np.float64)
    return low, high


def losses_of(search: Search, epochs: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Validation nats of the sampled points, [points], and the worst value: log of the vocabulary.

    A diverged point is no better than a uniform guess over the vocabulary. A pruned one has the
    validation at which it was stopped.
    """
    points = search.sampled
    worst = worst_of(search)
    stopped = epochs.dropna(subset=["valid_nll"]).drop_duplicates("key", keep="last")
    at_stop = points["key"].map(stopped.set_index("key")["valid_nll"])
    values = points["valid_nll"].astype(float)
    values = values.mask(points["status"] == Status.PRUNED, at_stop)
    values = values.mask(points["status"] == Status.DIVERGED).fillna(worst)
    return np.minimum(values.to_numpy(dtype=np.float64), worst), worst


def worst_of(search: Search) -> float:
    """The nats of a uniform guess; where no vocabulary is known, the highest loss there is."""
    sizes = search.tried["vocabulary"].dropna()
    known = search.tried["valid_nll"].dropna()
    if len(sizes):
        return float(np.log(float(sizes.max())))
    return float(known.max()) if len(known) else 0.0


def budgets_of(part: Combination, *, bands: bool) -> tuple[Budget, ...]:
    """Best-of-k of each search that has drawn two points or more."""
    found = []
    for search in searches_of(part):
        losses, worst = losses_of(search, part.epochs)
        if len(losses) < 2:
            continue
        nothing = np.full(len(losses), np.nan)
        low, high = bands_of(losses, worst) if bands else (nothing, nothing)
        found.append(Budget(search.name, expected_best(losses), low, high))
    return tuple(found)


def budget_rows(part: Combination, *, bands: bool) -> pd.DataFrame:
    """One row a search and budget k: the expected best, and its bounds, as perplexities."""
    parts = [
        pd.DataFrame(
            {
                "search": budget.name,
                "k": budget.points,
                "expected_best_ppl": perplexity(budget.line),
                "median_best_ppl_low": perplexity(budget.low),
                "median_best_ppl_high": perplexity(budget.high),
            }
        )
        for budget in budgets_of(part, bands=bands)
    ]
    return pd.concat(parts, ignore_index=True)


def has_budgets(part: Combination) -> bool:
    """Whether a search has drawn enough points for a line."""
    return any(len(search.sampled) > 1 for search in searches_of(part))


@styled
def best_of_k(part: Combination, *, bands: bool) -> Figure:
    """Draw each search's expected best validation perplexity against the number of points tried.

    A panel a search, its line over the others' in grey; a dotted line is its default point.
    """
    found = budgets_of(part, bands=bands)
    searches = {search.name: search for search in searches_of(part)}
    figure, panels = panel_grid(len(found), columns=_COLUMNS, height=1.45)
    titles = shortened([budget.name for budget in found], LONGEST_NAME)
    heights = [value for budget in found for value in _heights(budget)]
    defaults = [_default(searches[budget.name]) for budget in found]
    perplexity_axis(panels[0, 0], "y", [*heights, *defaults])
    for panel, budget in zip(panels.flat, found, strict=False):
        for other in found:
            panel.plot(other.points, perplexity(other.line), color=RULE, lw=0.8, zorder=1.5)
        colour = _colour(searches[budget.name])
        _draw(panel, budget, colour)
        level = _default(searches[budget.name])
        if np.isfinite(level):
            panel.axhline(level, color=FAINT, lw=0.9, ls=":", zorder=1.8)
        panel.set_title(textwrap.fill(titles[budget.name], 24), fontsize=SMALL, pad=3)
    panels[0, 0].xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[0, 0].set_xlim(0.5, max(len(budget.line) for budget in found) + 0.5)
    figure.supxlabel("points tried, k", fontsize="medium")
    figure.supylabel("validation perplexity (per word)", fontsize="medium")
    key(figure, _handles(found, defaults))
    return figure


def words(part: Combination, *, bands: bool) -> str:
    """What the figure shows, and where its bands end."""
    found = budgets_of(part, bands=bands)
    text = (
        f"Lowest validation perplexity on {seed_words(searches_of(part))} that k points are "
        "expected to reach, drawn with replacement from those tried (Dodge et al. 2019); losses "
        "are averaged in nats. Grey: the other searches. The default point is not among the points "
        "drawn."
    )
    if any(search.count(Status.DIVERGED) for search in searches_of(part)):
        text += " A diverged point counts as a uniform guess over the vocabulary."
    if any(search.count(Status.PRUNED) for search in searches_of(part)):
        text += (
            " No bands: points were pruned, and counts with the validation at which it was stopped "
            "each of them, so the points are no independent draws with known losses."
        )
        return text
    if not bands:
        return f"{text} No bands: they hold for points drawn at random alone."
    text += (
        f" Thin lines bound the median best of k, shaded where both bounds are known: a {_SHARE} % "
        "band that holds for all k at once if the points were drawn at random (Lourie et al. 2023)."
    )
    return text + _ends(found)


def _ends(found: tuple[Budget, ...]) -> str:
    """Up to which k, and from which on, a side of the bands says something."""
    text = ""
    lasts = [_last(budget.low) for budget in found]
    if any(last < len(budget.line) for last, budget in zip(lasts, found, strict=True)):
        low, high = min(lasts), max(lasts)
        upto = f"up to k = {low}" if low == high else f"up to a k of {low} to {high}, by search"
        if high == 0:
            upto = "at no k"
        text += (
            f" So few points bound it from below only {upto}; beyond, nothing says how much better "
            "a luckier draw could be."
        ).replace("only at", "at")
    late = [budget for budget in found if _first(budget.high) > 1]
    if late:
        named = ", ".join(
            f"{budget.name} from k = {first} on"
            if (first := _first(budget.high)) <= len(budget.line)
            else f"{budget.name} at no k"
            for budget in late
        )
        others = ", and the others at every k" if len(late) < len(found) else ""
        text += f" From above they bound {named}{others}: before, the best may be a diverged point."
    return text


def _last(band: np.ndarray) -> int:
    """The last k at which a band is known; 0 for none."""
    known = np.flatnonzero(np.isfinite(band))
    return int(known[-1]) + 1 if len(known) else 0


def _first(band: np.ndarray) -> int:
    """The first k at which a band is known; one beyond the last for none."""
    known = np.flatnonzero(np.isfinite(band))
    return int(known[0]) + 1 if len(known) else len(band) + 1


def _heights(budget: Budget) -> list[float]:
    """The perplexities that an axis must hold: one draw that may diverge leaves it at the top."""
    shown = []
    for curve in (budget.line, budget.low, budget.high):
        values = perplexity(curve)
        shown += values[1:].tolist()
        if values[0] < _STEEP * values[1]:
            shown.append(float(values[0]))
    return shown


def _draw(panel: Axes, budget: Budget, colour: str) -> None:
    both = np.isfinite(budget.low) & np.isfinite(budget.high)
    if both.any():
        panel.fill_between(
            budget.points, perplexity(budget.low), perplexity(budget.high), where=both.tolist(),
            color=colour, alpha=0.15, lw=0, zorder=1,
        )  # fmt: skip
    for side in (budget.low, budget.high):
        # A side that is known at one k alone is a mark.
        mark = "_" if np.isfinite(side).sum() == 1 else None
        panel.plot(
            budget.points, perplexity(side), color=colour, lw=0.7, alpha=0.7, marker=mark, zorder=2
        )
    panel.plot(budget.points, perplexity(budget.line), color=colour, lw=1.5, zorder=3)


def _default(search: Search) -> float:
    default = search.default
    if default is None or default["status"] != Status.OK:
        return float("nan")
    return float(default["valid_ppl"])


def _colour(search: Search) -> str:
    row = search.tried.iloc[0] if search.chosen is None else search.chosen
    return edge_group(str(row["placement"])).colour


def _handles(found: tuple[Budget, ...], defaults: list[float]) -> list[Line2D]:
    handles: list[Line2D] = [
        Line2D([], [], color=FAINT, lw=1.5, label="expected best of k"),
        Line2D([], [], color=RULE, lw=0.8, label="other searches"),
    ]
    if np.isfinite(defaults).any():
        handles.append(Line2D([], [], color=FAINT, lw=0.9, ls=":", label="default point"))
    if any(np.isfinite([*budget.low, *budget.high]).any() for budget in found):
        label = f"{_SHARE} % bounds of the median best"
        handles.append(Line2D([], [], color=FAINT, lw=0.7, label=label))
    return handles
