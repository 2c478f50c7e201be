"""The map: what dropout at each edge alone does, drawn on the LSTM cell, by rate and by sharing.

A study has a map where it has points that drop at one edge and nowhere else, at several edges. What
they change is paired by seed with the baseline: validation perplexity, and the overfitting gap.
"""

from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from ablate.cells import LSTM
from ablate.drops import PER_STEP, VARIATIONAL, Drop
from ablate.edges import RULES, Edge
from ablate.placement import Placement
from ablate.report.combination import Combination
from ablate.report.numbers import NOTHING, rate, seeds, signed, signed_nats
from ablate.report.plot import Plot
from ablate.report.statistics import (
    PLACEMENT,
    SEEDS_FOR_INTERVAL,
    SIGNIFICANT,
    Differences,
    baseline_of,
)
from ablate.report.style import BRIGHT, CHANGES, DARK, FAINT, PAPER, RULE, SMALL, WIDTH, styled
from ablate.report.tuned import is_tuned

Point = tuple[float, float]

#: Fewer edges than so many make no map.
FEWEST: Final = 3

STEP, WINDOW = "step", "window"

# A tile's cells and the room around tiles, in inches.
_CELL_WIDTH, _CELL_HEIGHT, _HEAD, _SIDE = 0.5, 0.31, 0.4, 0.5
_GAP_X, _GAP_Y, _MARGIN, _BAR = 0.34, 0.4, 0.3, 0.6

# Where an edge's tile stands: column from the left, row from the bottom; the layer is rows 2 and 3.
_PLACES: Final = {
    Edge.EMBEDDING: (1, 0),
    Edge.INPUT: (1, 1),
    Edge.RECURRENT: (0, 2),
    Edge.WEIGHT: (1, 2),
    Edge.UPDATE: (2, 2),
    Edge.CARRY: (0, 3),
    Edge.CELL: (1, 3),
    Edge.HIDDEN: (2, 3),
    Edge.INTERLAYER: (1, 4),
    Edge.OUTPUT: (1, 5),
}
_WHAT: Final = {
    Edge.EMBEDDING: "whole words",
    Edge.INPUT: "what layer 1 reads",
    Edge.RECURRENT: "h, to the gates",
    Edge.WEIGHT: "W, from h to the gates",
    Edge.UPDATE: "g, what is added to c",
    Edge.CARRY: "c, handed to the next step",
    Edge.CELL: "c, for every reader",
    Edge.HIDDEN: "h, for every reader",
    Edge.INTERLAYER: "h, to the layer above",
    Edge.OUTPUT: "h, to the softmax",
}


def spots_of(part: Combination) -> pd.DataFrame:
    """One row for each edge, sharing and rate that a point of one edge has, in the study's order.

    Columns: `edge`, `sharing` ("step", "window"), `rate`; `pairs`, `difference` (validation
    perplexity minus the baseline's, mean over pairs), `decided` (p after Holm's correction below
    .05, over all placements of the study) and `gap` (that of the overfitting gap, nats). A point
    without a finished pair has no row, and neither has one of another cell than the LSTM.
    """
    columns = ["edge", "sharing", "rate", "pairs", "difference", "decided", "gap"]
    if part.net.get("cell", LSTM.name) != LSTM.name or part.trials.empty:
        return pd.DataFrame(columns=columns)
    found = Differences()(part.trials)
    gaps = Differences("gap")(part.trials).set_index(list(PLACEMENT))["difference"]
    rows = [
        (
            *spot, row["pairs"], row["difference"], row["p_holm"] < SIGNIFICANT,
            gaps.get((row["strategy"], row["arguments"]), np.nan),
        )
        for _, row in found[found["pairs"] > 0].iterrows()
        if (spot := _spot(str(row["placement"]))) is not None
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame.drop_duplicates(["edge", "sharing", "rate"], ignore_index=True)


def has_map(part: Combination) -> bool:
    """Whether points of one edge act at several edges; those that a search tried make no map."""
    return not is_tuned(part) and len(set(spots_of(part)["edge"])) >= FEWEST


def words(part: Combination) -> str:
    """What the numbers are, and what they are differences to."""
    rows, against = spots_of(part), baseline_of(part.trials)
    label = "the baseline" if against is None else str(against["label"].iloc[0])
    decided = (
        f"Bold: p < {SIGNIFICANT:g} (moderated t test, Holm's correction over all placements of "
        "the study). ".replace("0.", ".")
        if (rows["pairs"] >= SEEDS_FOR_INTERVAL).any()
        else ""
    )
    low, high = int(rows["pairs"].min()), int(rows["pairs"].max())
    return (
        "Large: validation perplexity with dropout at this edge alone minus that of "
        f"{label}, paired by seed; small: the same of the overfitting gap, in nats per token. "
        "Columns are rates, rows a mask for each step and one for the window. Blue lowers "
        f"perplexity; the colours end at the largest fall. {decided}{seeds(low, high)} a point."
    )


@styled
def edge_map(part: Combination) -> Figure:
    """Draw a layer of the LSTM with a tile at each edge: rows are sharings, columns rates.

    `part` has a map (`has_map`). What the study does not have stays empty.
    """
    rows = spots_of(part)
    chosen = rows[[len(_drops(edge, 0.0)) > 1 for edge in rows["edge"]]]
    found = set(chosen["sharing"]) or set(rows["sharing"])
    sharings = tuple(name for name in (STEP, WINDOW) if name in found)
    grid = _Grid(tuple(sorted(set(rows["rate"]))), sharings)
    scale = WIDTH / grid.width
    figure = Figure(figsize=(WIDTH, (grid.height + _BAR) * scale))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0.0, grid.width), ylim=(-_BAR, grid.height))
    axes.axis("off")
    falls = float(-rows["difference"].min())
    most = falls if falls > 0 else float(rows["difference"].max()) or 1.0
    colours = ScalarMappable(Normalize(-most, most), mpl.colormaps[CHANGES])
    _draw_layer(axes, grid)
    for edge in _PLACES:
        _draw_tile(axes, grid, edge, rows[rows["edge"] == edge], colours, min(scale, 1.0))
    bar = axes.inset_axes((0.3, 0.42 / (grid.height + _BAR), 0.4, 0.1 / (grid.height + _BAR)))
    figure.colorbar(colours, cax=bar, orientation="horizontal", extend="both")
    bar.set_xlabel("change of validation perplexity", fontsize=SMALL)
    bar.grid(False)
    return figure


def _spot(text: str) -> tuple[Edge, str, float] | None:
    """Edge, sharing and rate of a placement that drops units of one edge, in every layer alike."""
    placement = Placement.parse(text)
    edge = next(iter(placement), None)
    if edge is None or not isinstance(given := placement[edge].rate, float):
        return None
    for sharing, drop in _drops(edge, given).items():
        if placement == Placement({edge: drop}):
            return edge, sharing, given
    return None


def _drops(edge: Edge, rate: float) -> dict[str, Drop]:
    """By sharing what acts at the edge; weights have one mask for the window and no choice."""
    if "time" not in RULES[edge].axes:
        return {WINDOW: Drop(rate)}
    return {STEP: Drop(rate, PER_STEP), WINDOW: Drop(rate, VARIATIONAL)}


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where tiles stand, in inches: each has a head and a cell for each sharing and rate."""

    rates: tuple[float, ...]
    sharings: tuple[str, ...]

    @property
    def tile(self) -> Point:
        """Width and height of a tile."""
        # A tile of one rate still has room for its words.
        cells = _CELL_WIDTH * max(3, len(self.rates))
        return _SIDE + cells, _HEAD + _CELL_HEIGHT * len(self.sharings)

    @property
    def width(self) -> float:
        return 2 * _MARGIN + 3 * self.tile[0] + 2 * _GAP_X

    @property
    def height(self) -> float:
        return 2 * _MARGIN + 6 * self.tile[1] + 5 * _GAP_Y

    def corner(self, edge: Edge) -> Point:
        """The lower left corner of an edge's tile."""
        column, row = _PLACES[edge]
        return (
            _MARGIN + column * (self.tile[0] + _GAP_X),
            _MARGIN + row * (self.tile[1] + _GAP_Y),
        )

    def side(self, edge: Edge, right: float, up: float) -> Point:
        """A point of an edge's tile: (0, 0) is its lower left corner, (1, 1) its upper right."""
        x, y = self.corner(edge)
        return x + right * self.tile[0], y + up * self.tile[1]


def _draw_layer(axes: Axes, grid: _Grid) -> None:
    """The layer's box, and arrows from what is read to what is computed of it."""
    (left, low), (right, high) = grid.side(Edge.RECURRENT, 0, 0), grid.side(Edge.HIDDEN, 1, 1)
    box = FancyBboxPatch(
        (left - 0.14, low - 0.14), right - left + 0.28, high - low + 0.28,
        boxstyle="round,pad=0,rounding_size=0.1", fc="none", ec=FAINT, lw=1.0, zorder=1,
    )  # fmt: skip
    axes.add_patch(box)
    above = grid.side(Edge.CELL, 0.5, 1)[0], high + 0.14
    below = grid.side(Edge.WEIGHT, 0.5, 0)[0], low - 0.14
    for start, end in (
        (grid.side(Edge.EMBEDDING, 0.5, 1), grid.side(Edge.INPUT, 0.5, 0)),
        (grid.side(Edge.INPUT, 0.5, 1), below),
        (grid.side(Edge.RECURRENT, 1, 0.5), grid.side(Edge.WEIGHT, 0, 0.5)),
        (grid.side(Edge.WEIGHT, 1, 0.5), grid.side(Edge.UPDATE, 0, 0.5)),
        (grid.side(Edge.UPDATE, 0.3, 1), grid.side(Edge.CELL, 0.8, 0)),
        (grid.side(Edge.CARRY, 1, 0.5), grid.side(Edge.CELL, 0, 0.5)),
        (grid.side(Edge.CELL, 1, 0.5), grid.side(Edge.HIDDEN, 0, 0.5)),
        (above, grid.side(Edge.INTERLAYER, 0.5, 0)),
        (grid.side(Edge.INTERLAYER, 0.5, 1), grid.side(Edge.OUTPUT, 0.5, 0)),
        ((left - 0.29, grid.side(Edge.CARRY, 0, 0.5)[1]), grid.side(Edge.CARRY, 0, 0.5)),
        ((left - 0.29, grid.side(Edge.RECURRENT, 0, 0.5)[1]), grid.side(Edge.RECURRENT, 0, 0.5)),
        (grid.side(Edge.HIDDEN, 1, 0.5), (right + 0.29, grid.side(Edge.HIDDEN, 1, 0.5)[1])),
    ):
        axes.annotate(
            "", end, start, zorder=1.5,
            arrowprops={"arrowstyle": "-|>", "color": FAINT, "lw": 0.9, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip


def _draw_tile(
    axes: Axes, grid: _Grid, edge: Edge, rows: pd.DataFrame, colours: ScalarMappable, scale: float
) -> None:
    (x, y), (wide, high) = grid.corner(edge), grid.tile
    top, tiny = y + high, 0.84 * SMALL * scale
    axes.add_patch(Rectangle((x, y), wide, high, fc=PAPER, ec="none", zorder=2))
    axes.add_patch(Rectangle((x, y), wide, high, fc="none", ec=RULE, lw=0.8, zorder=3.5))
    head: dict[str, Any] = {"va": "top", "zorder": 4}
    axes.text(x + 0.06, top - 0.05, edge.label, fontsize=SMALL * scale, weight="bold", **head)
    told: dict[str, Any] = {"ha": "right", "fontsize": tiny, "color": FAINT}
    axes.text(x + wide - 0.06, top - 0.055, _WHAT[edge], **told, **head)
    faint: dict[str, Any] = {"fontsize": tiny, "color": FAINT, "va": "center", "zorder": 4}
    found = {(row["sharing"], row["rate"]): row for _, row in rows.iterrows()}
    can = _drops(edge, 0.0)
    sharings = [name for name in grid.sharings if name in can] or [*can]
    for column, value in enumerate(grid.rates):
        left = x + _SIDE + column * _CELL_WIDTH
        axes.text(left + _CELL_WIDTH / 2, top - _HEAD + 0.07, rate(value), ha="center", **faint)
        for line, sharing in enumerate(sharings):
            low = top - _HEAD - (line + 1) * _CELL_HEIGHT
            if column == 0:
                axes.text(x + 0.06, low + _CELL_HEIGHT / 2, sharing, **faint)
            if (sharing, value) in found:
                _draw_cell(axes, (left, low), found[sharing, value], colours, scale)
            else:
                middle = left + _CELL_WIDTH / 2, low + _CELL_HEIGHT / 2
                axes.text(*middle, NOTHING, ha="center", **faint)


def _draw_cell(
    axes: Axes, corner: Point, row: pd.Series, colours: ScalarMappable, scale: float
) -> None:
    """One cell: its colour, the change of perplexity, and below it that of the gap."""
    colour = colours.to_rgba(row["difference"])
    red, green, blue, _ = colour
    cell = Rectangle(corner, _CELL_WIDTH, _CELL_HEIGHT, fc=colour, ec=PAPER, lw=0.8, zorder=3)
    axes.add_patch(cell)
    text: dict[str, Any] = {
        "color": BRIGHT if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else DARK,
        "ha": "center", "zorder": 4,
    }  # fmt: skip
    x, y = corner[0] + _CELL_WIDTH / 2, corner[1] + _CELL_HEIGHT / 2
    weight = "bold" if row["decided"] else "normal"
    change, gap = signed(row["difference"]), signed_nats(row["gap"])
    axes.text(x, y - 0.015, change, va="bottom", fontsize=SMALL * scale, weight=weight, **text)
    axes.text(x, y - 0.015, gap, va="top", fontsize=0.78 * SMALL * scale, **text)


PLOT: Final = Plot(
    "edge-map",
    "Dropout at one edge alone, on the cell",
    "",
    edge_map,
    lambda part: spots_of(part).assign(edge=[edge.label for edge in spots_of(part)["edge"]]),
    applies=has_map,
    tells=words,
)
