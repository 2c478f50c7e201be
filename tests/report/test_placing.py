"""Names beside points: inside the axes, on no point, on no other name."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from ablate.report.placing import PointName, write_names


def crowd(count: int, seed: int) -> np.ndarray:
    """Points in the unit square, half of them in one corner."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.05, 0.95, (count, 2))
    points[::2] *= 0.4
    return points


@pytest.mark.parametrize("seed", range(4))
def test_names_do_not_overlap(seed: int):
    """Fourteen crowded names find places of their own, within the axes and off the points."""
    figure = Figure(figsize=(7, 4.8))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    points = crowd(14, seed)
    names = [
        PointName(x, y, f"placement {index} .5", "black") for index, (x, y) in enumerate(points)
    ]
    boxes = write_names(axes, names, points=points)
    for index, box in enumerate(boxes):
        others = np.delete(boxes, index, axis=0)
        shared = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
        assert not (shared > 0).all(axis=1).any(), f"name {index} lies on another"
    pixels = axes.transData.transform(points)
    covered = (pixels[None] > boxes[:, None, :2]) & (pixels[None] < boxes[:, None, 2:])
    assert not covered.all(axis=2).any()
    left, bottom, right, top = axes.get_window_extent().extents
    assert (boxes[:, :2] >= [left, bottom]).all()
    assert (boxes[:, 2:] <= [right, top]).all()


def test_names_keep_off_lines():
    """A name beside the end of a line does not lie on it."""
    figure = Figure(figsize=(7, 4.8))
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    line = np.array([(0.5, 0.5), (1.0, 0.5)])
    [box] = write_names(
        axes, [PointName(0.5, 0.5, "zaremba2014", "black")], points=line[:1], lines=[line]
    )
    height = axes.transData.transform((0.5, 0.5))[1]
    assert box[2] < axes.transData.transform((0.5, 0.5))[0] or not box[1] < height < box[3]


def test_no_names_no_boxes():
    """An axes without names is left alone."""
    axes = Figure().subplots()
    assert write_names(axes, [], points=np.empty((0, 2))).shape == (0, 4)
    assert not axes.texts
