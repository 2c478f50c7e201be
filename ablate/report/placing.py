"""Names written beside points so that nothing overlaps: candidates around each point, least cost.

A legend of fourteen placements sends the eye back and forth; a name beside its point does not.
textalloc and adjustText were tried on the reference figures, and both repeat. The first takes one
name after another and lets a leader line run over the mark of another placement, which then seems
to have that name; the second leaves names on marks and intervals. Here both have a cost.
Everything is measured in pixels of the canvas, after the layout is settled.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ablate.report.style import SMALL

# Directions of a label's near edge, and its distance from the point in points (1/72 inch).
_DIRECTIONS = (0, 180, 30, -30, 150, -150, 60, -60, 120, -120, 90, -90)
_DISTANCES = (6.5, 9.0, 14.0, 21.0, 30.0, 41.0, 54.0, 70.0)
# A leader line is drawn from this distance on: nearer names need none.
_LEADER = 12.0
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class PointName:
    """A text to write beside a point of an axes, in data coordinates."""

    x: float
    y: float
    text: str
    colour: str


def write_names(
    axes: Axes,
    names: Sequence[PointName],
    *,
    points: np.ndarray,
    lines: Sequence[np.ndarray] = (),
    size: float = SMALL,
) -> np.ndarray:
    """Write each name beside its point, clear of other names, of `points` and of `lines`.

    `points` is [n, 2] and each of the lines [corners, 2], in data coordinates; `size` is in points.
    Returns the boxes taken, [names, 4] as left, bottom, right, top in pixels.
    """
    if not names:
        return np.empty((0, 4))
    figure = axes.get_figure(root=True)
    assert figure is not None
    unit = figure.dpi / 72
    anchors = axes.transData.transform([(name.x, name.y) for name in names])
    points = axes.transData.transform(np.asarray(points, dtype=np.float64).reshape(-1, 2))
    drawn = np.concatenate(
        [_along(axes.transData.transform(line), 3 * unit) for line in lines if len(line) > 1]
        or [points[:0]]
    )
    extents = np.array([_extent(figure, name.text, size) for name in names])
    inside = np.asarray(axes.get_window_extent().padded(-2 * unit).extents)
    boxes = [
        _candidates(anchor, extent, unit) for anchor, extent in zip(anchors, extents, strict=True)
    ]
    fixed = [
        _outside(box, inside) * 1e4
        + _covered(box, points, 4 * unit) * 60
        + _covered(box, _others(anchor, points, 10 * unit), 9 * unit) * 8
        + np.minimum(_covered(box, drawn, 1.5 * unit), 4) * 15
        + _crossed(anchor, box, points, 2.5 * unit) * 12
        + np.repeat(_DISTANCES, len(_DIRECTIONS)) * 0.6
        + np.tile(np.arange(len(_DIRECTIONS)) * 0.15, len(_DISTANCES))
        for anchor, box in zip(anchors, boxes, strict=True)
    ]
    chosen = _settle(anchors, boxes, fixed, unit)
    taken = np.array([box[index] for box, index in zip(boxes, chosen, strict=True)])
    for name, anchor, box, index in zip(names, anchors, taken, chosen, strict=True):
        _write(axes, name, anchor, box, size, leader=_distance(index) >= _LEADER)
    return taken


def _extent(figure: Figure, text: str, size: float) -> tuple[float, float]:
    probe = figure.text(0, 0, text, fontsize=size)
    box = probe.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    probe.remove()
    return box.width, box.height


def _distance(index: int) -> float:
    return _DISTANCES[index // len(_DIRECTIONS)]


def _candidates(anchor: np.ndarray, extent: np.ndarray, unit: float) -> np.ndarray:
    """Boxes [candidates, 4] around the anchor: nearer first, beside it before above or below."""
    angles = np.deg2rad(np.tile(_DIRECTIONS, len(_DISTANCES)))
    towards = np.column_stack([np.cos(angles), np.sin(angles)])
    near = anchor + towards * np.repeat(_DISTANCES, len(_DIRECTIONS))[:, None] * unit
    # To the right of the point a box begins there, to the left it ends, above it is centred.
    corner = near - extent * (1 - np.clip(2 * towards, -1, 1)) / 2
    return np.concatenate([corner, corner + extent], axis=1)


def _outside(boxes: np.ndarray, inside: np.ndarray) -> np.ndarray:
    low = (boxes[:, :2] < inside[:2]).any(axis=1)
    high = (boxes[:, 2:] > inside[2:]).any(axis=1)
    return np.where(low | high, 1.0, 0.0)


def _covered(boxes: np.ndarray, points: np.ndarray, margin: float) -> np.ndarray:
    """How many points lie in each box, widened by `margin`."""
    low = (points[None] > boxes[:, None, :2] - margin).all(axis=2)
    return (low & (points[None] < boxes[:, None, 2:] + margin).all(axis=2)).sum(axis=1)


def _others(anchor: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Points that are not the anchor's own: a name close to one of them seems to be its name."""
    return points[((points - anchor) ** 2).sum(axis=1) > reach**2]


def _nearest(anchor: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The point of each box that is nearest to the anchor: where its leader line ends."""
    return np.clip(anchor, boxes[:, :2], boxes[:, 2:])


def _crossed(
    anchor: np.ndarray, boxes: np.ndarray, points: np.ndarray, margin: float
) -> np.ndarray:
    """How many points the leader line from the anchor to each box runs over."""
    run = _nearest(anchor, boxes) - anchor
    length = np.maximum((run**2).sum(axis=1), 1e-9)
    offset = points - anchor
    share = np.clip((run @ offset.T) / length[:, None], 0, 1)
    gap = offset[None] - share[:, :, None] * run[:, None]
    beyond = (offset**2).sum(axis=1) > (2 * margin) ** 2
    return (((gap**2).sum(axis=2) < margin**2) & beyond).sum(axis=1)


def _overlap(boxes: np.ndarray, other: np.ndarray, margin: float) -> np.ndarray:
    """Area that each box shares with another one, margins included."""
    low = np.maximum(boxes[:, :2], other[:2] - margin)
    high = np.minimum(boxes[:, 2:], other[2:] + margin)
    return np.clip(high - low, 0, None).prod(axis=1)


def _settle(
    anchors: np.ndarray, boxes: list[np.ndarray], fixed: list[np.ndarray], unit: float
) -> list[int]:
    """Choose a candidate for each name, the most crowded first, until none wants to move."""
    spread = ((anchors[:, None] - anchors[None]) ** 2).sum(axis=2)
    order = np.argsort(np.sort(spread, axis=1)[:, :4].sum(axis=1), kind="stable")
    chosen: list[int] = [-1] * len(boxes)
    for _ in range(_SWEEPS):
        before = list(chosen)
        for index in order:
            cost = fixed[index].copy()
            for other, taken in enumerate(chosen):
                if other == index or taken < 0:
                    continue
                shared = _overlap(boxes[index], boxes[other][taken], 1.5 * unit)
                cost += (shared > 0) * 500 + shared / unit**2
                ends = _nearest(anchors[other], boxes[other][taken : taken + 1])[0]
                line = np.linspace(anchors[other], ends, 9)
                cost += _covered(boxes[index], line, 0.5 * unit) * 25
            chosen[index] = int(np.argmin(cost))
        if chosen == before:
            break
    return chosen


def _write(
    axes: Axes, name: PointName, anchor: np.ndarray, box: np.ndarray, size: float, *, leader: bool
) -> None:
    into_data = axes.transData.inverted()
    x, y = into_data.transform(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    axes.text(x, y, name.text, ha="center", va="center", fontsize=size, color=name.colour, zorder=6)
    if leader:
        end = into_data.transform(_nearest(anchor, box[None])[0])
        axes.plot(*zip((name.x, name.y), end, strict=True), color=name.colour, lw=0.5, alpha=0.6)


def _along(corners: np.ndarray, step: float) -> np.ndarray:
    """Points a `step` apart on the lines between corners [n, 2], for names to keep clear of."""
    runs = []
    for start, end in itertools.pairwise(corners):
        count = max(2, int(np.hypot(*(end - start)) / step))
        runs.append(start + np.linspace(0, 1, count)[:, None] * (end - start))
    return np.concatenate(runs)
