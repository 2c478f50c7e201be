"""Figure: validation against each argument that a search varied, a row of panels a search.

How flat an optimum is says how much of a gain is the choice of the point. One chosen number cannot.
"""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from ablate.report.axes import LONGEST_NAME, key, perplexity_axis, round_ticks
from ablate.report.combination import Combination
from ablate.report.importance import FEWEST
from ablate.report.kinds import edge_group
from ablate.report.names import short as shorten
from ablate.report.names import shortened
from ablate.report.style import DIVERGED, FAINT, INK, PAPER, SMALL, WIDTH, styled
from ablate.report.tuned import Search, point_of, searches_of, seed_words, short, varied
from ablate.status import Status

#: A perplexity beyond so many times the lowest of its search is drawn at the axis's end.
REACH: Final = 2.0

_COLUMNS = 6
_LONGEST = 18
# So many letters stand side by side under a panel.
_WORDS = 14
# An inch holds so many round numbers.
_STEPS, _MOST_TICKS = ((1,), (1, 3), (1, 2, 5)), 4
# Nuisances further apart than this stand on a logarithmic axis; rates have their own scale.
_LOG_RATIO = 10.0


@styled
def by_argument(part: Combination) -> Figure:
    """Draw each tried point's validation perplexity against each argument and nuisance.

    A row of panels is a search, with one axis of perplexity; more arguments than fit go on in the
    next row. The chosen point is large and dark, the default one a hollow square.
    """
    rows = _rows(part)
    width = max(len(names) for _, names in rows)
    # Titles and arguments take as much room as the points of a row.
    figure = Figure(figsize=(WIDTH, 0.6 + 1.22 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), width, squeeze=False, sharey="row")
    titles = shortened([search.name for search, _ in rows], LONGEST_NAME)
    named = set[str]()
    for line, (search, names) in zip(panels, rows, strict=True):
        points = _points_of(search)
        values = points.loc[points["known"], "shown"]
        for panel in line[len(names) :]:
            panel.set_visible(False)
        for panel, name in zip(line, names, strict=False):
            _draw(panel, points, name)
        perplexity_axis(line[0], "y", values, log=len(values) > 0)
        _few_ticks(line[0])
        if search.name not in named:
            line[0].set_title(titles[search.name], fontsize=SMALL, fontweight="bold", pad=4)
        named.add(search.name)
        _draw_lost(line[: len(names)], points, names)
    figure.supylabel("validation perplexity (per word)", fontsize="medium")
    key(figure, _handles(part))
    return figure


def argument_rows(part: Combination) -> pd.DataFrame:
    """One row a point tried and argument that varied: its value, and how the point came out."""
    rows = [
        {
            "search": search.name,
            "point": point["number"],
            "argument": name,
            "value": point["facts"].get(name),
            "valid_ppl": point["valid_ppl"],
            "status": point["status"],
            "chosen": point["chosen"],
        }
        for search, names in _rows(part)
        for name in names
        for _, point in _points_of(search).iterrows()
    ]
    return pd.DataFrame(rows)


def has_arguments(part: Combination) -> bool:
    """Whether a search has varied anything and a point of it finished."""
    return bool(_rows(part))


def words(part: Combination) -> str:
    """What the figure shows, and where importances are."""
    text = (
        f"Every point that a search tried on {seed_words(searches_of(part))}, against each of its "
        "arguments that varied; a row has one axis of perplexity, logarithmic. A flat lower edge "
        "means that the argument hardly matters where the others are good. Perplexities beyond "
        f"{REACH:g} times the lowest of the search stand at the axis's end, and so do diverged "
        "points, as crosses."
    )
    if any(search.count(Status.PRUNED) for search in searches_of(part)):
        text += " Pruned points have no validation to draw."
    most = max((len(search.sampled) for search in searches_of(part)), default=0)
    if most < FEWEST:
        text += f" Importances of the arguments are estimated from {FEWEST} points of a search on."
    return text


def _rows(part: Combination) -> list[tuple[Search, list[str]]]:
    """Each search with the arguments of one row of panels."""
    return [
        (search, names[start : start + _COLUMNS])
        for search in searches_of(part)
        if search.chosen is not None and (names := varied(search))
        for start in range(0, len(names), _COLUMNS)
    ]


def _points_of(search: Search) -> pd.DataFrame:
    """The points tried, with their facts, and `shown`, the perplexity as far as the axis goes."""
    points = search.tried[search.tried["status"] != Status.PRUNED]
    values = points["valid_ppl"].astype(float)
    end = REACH * float(values.min())
    chosen = search.chosen
    return points.assign(
        shown=values.clip(upper=end),
        far=values > end,
        known=points["status"] == Status.OK,
        chosen=points["number"] == (-1 if chosen is None else chosen["number"]),
    )


def _draw(panel: Axes, points: pd.DataFrame, name: str) -> None:
    """Draw the finished points of a panel, and fit its axis to the argument."""
    x = _fit(panel, points, name)
    done = points["known"].to_numpy(dtype=bool)
    for index in np.flatnonzero(done):
        row = points.iloc[index]
        for look in _looks(row):
            panel.plot([x[index]], [row["shown"]], ls="", **look)
    panel.set_xlabel(shorten(name.removeprefix("recipe."), _LONGEST), fontsize=SMALL, labelpad=1)
    panel.tick_params(labelsize=6.5, pad=1.5, length=2)


def _looks(row: pd.Series) -> list[dict[str, Any]]:
    """The marks of a point: a dot, large if chosen, and a square for the default one."""
    colour, default = edge_group(str(row["placement"])).colour, row["number"] == 0
    fill = PAPER if row["far"] else colour
    square = {"marker": "s", "ms": 5, "mfc": "none", "mec": INK, "mew": 1.0, "zorder": 4}
    if row["chosen"]:
        size = 3 if default else 5.5
        large = {"marker": "o", "ms": size, "mfc": fill, "mec": INK, "mew": 0.9, "zorder": 3}
        return [large, square] if default else [large]
    if default:
        return [square]
    return [
        {"marker": "o", "ms": 3, "mfc": fill, "mec": colour, "mew": 0.5, "alpha": 0.6, "zorder": 2}
    ]


def _draw_lost(panels: np.ndarray, points: pd.DataFrame, names: list[str]) -> None:
    """Draw a cross at the axis's end for each diverged point."""
    lost = (points["status"] == Status.DIVERGED).to_numpy(dtype=bool)
    for panel, name in zip(panels, names, strict=True):
        x = np.asarray(_places(points, name)[0])[lost]
        panel.plot(
            x, np.full(len(x), 0.96), ls="", marker="x", ms=4, mew=0.9, color=DIVERGED, zorder=3,
            transform=panel.get_xaxis_transform(),
        )  # fmt: skip


def _places(points: pd.DataFrame, name: str) -> tuple[list[float], list[str]]:
    """Where each point stands along x, and the words there; no words for numbers."""
    values = [facts.get(name) for facts in points["facts"]]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [float(value) for value in values], []
    point = point_of(points.iloc[0])
    parameter = point.strategy.parameters.get(name) if point else None
    declared = parameter.choices if parameter else ()
    words = [word for word in declared if word in values] or sorted({short(v) for v in values})
    # Points of one word stand side by side, so that equal ones are seen.
    spread = [0.12 * (number % 5 - 2) for number in range(len(values))]
    return [words.index(short(v)) + s for v, s in zip(values, spread, strict=True)], words


def _fit(panel: Axes, points: pd.DataFrame, name: str) -> list[float]:
    x, texts = _places(points, name)
    low, high = min(x), max(x)
    if texts:
        panel.set(xticks=range(len(texts)), xlim=(-0.6, len(texts) - 0.4))
        crowded = sum(map(len, texts)) > _WORDS
        turned: dict[str, Any] = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
        panel.set_xticklabels([shorten(text, 8) for text in texts], **(turned if crowded else {}))
    elif "." in name and low > 0 and high > _LOG_RATIO * low:
        panel.set_xscale("log")
        margin = (high / low) ** 0.08
        panel.set_xlim(low / margin, high * margin)
        ticks = round_ticks(low / margin, high * margin, _STEPS, _MOST_TICKS)
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(float(value))))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.08 * (high - low) or 0.5
        panel.set_xlim(low - margin, high + margin)
        panel.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    return x


def _tick(value: float) -> str:
    text = f"{value:g}"
    return text.replace("0.", ".", 1) if text.startswith("0.") else text


def _few_ticks(panel: Axes) -> None:
    """At most three ticks of perplexity: a panel is an inch high."""
    low, high = panel.get_ylim()
    locator = MaxNLocator(3, steps=[1, 2, 5, 10])
    ticks = [tick for tick in locator.tick_values(low, high) if low <= tick <= high]
    panel.yaxis.set_major_locator(FixedLocator(ticks))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _handles(part: Combination) -> list[Artist]:
    looks: dict[str, dict[str, Any]] = {
        "tried": {"marker": "o", "ms": 3, "mfc": FAINT, "mec": FAINT},
        "chosen": {"marker": "o", "ms": 5.5, "mfc": FAINT, "mec": INK, "mew": 0.9},
        "default": {"marker": "s", "ms": 5, "mfc": "none", "mec": INK},
    }
    if any(_points_of(search)["far"].any() for search, _ in _rows(part)):
        looks["beyond the axis"] = {"marker": "o", "ms": 3, "mfc": PAPER, "mec": FAINT}
    if any(search.count(Status.DIVERGED) for search, _ in _rows(part)):
        looks["diverged"] = {"marker": "x", "ms": 4, "mec": DIVERGED}
    return [Line2D([], [], ls="", label=label, **look) for label, look in looks.items()]
