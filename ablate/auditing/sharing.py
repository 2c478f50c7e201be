"""Who shares a decision: read off which neighbours ever differ, and how sure that is."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ablate.auditing.edge_factors import first_seen
from ablate.auditing.probes import CLOSE, Array
from ablate.auditing.window_readings import Track
from ablate.drops import ALL, Extent

# So many differences must have been due before "none was seen" means "they share": e**-12.
SURE = 12.0


def activity(values: Array) -> bool:
    """Whether a factor is ever anything but 1."""
    known = values[~np.isnan(values)]
    return bool(known.size) and bool((abs(known - 1.0) > CLOSE).any())


def continuous(values: Array) -> bool:
    """Whether what is kept differs from one decision to the next: a noise that is not Bernoulli."""
    alive = values[np.nan_to_num(values) != 0.0]
    return bool(alive.size > 1) and float(np.ptp(alive)) > 10.0 * CLOSE * abs(np.median(alive))


def extent(values: Array, axis: int) -> Extent:
    """How many neighbours on `axis` share a decision; None where too little was seen to tell."""
    size = values.shape[axis]
    if size < 2:
        return None
    values = np.moveaxis(values, axis, 0)
    one, other = values[:-1], values[1:]
    pairs = ~np.isnan(one) & ~np.isnan(other)
    with np.errstate(invalid="ignore"):
        differ = pairs & (abs(one - other) > CLOSE * np.maximum(1.0, abs(one)))
    due = pairs.reshape(size - 1, -1).sum(1) * _chance(values)
    return _extent_of(np.any(differ.reshape(size - 1, -1), axis=1), due)


def _chance(values: Array) -> float:
    """How often two independent decisions differ."""
    if continuous(values):
        return 1.0
    known = values[~np.isnan(values)]
    dropped = float((known == 0.0).mean()) if known.size else 0.0
    return 2.0 * dropped * (1.0 - dropped)


def _extent_of(changes: NDArray[np.bool_], due: Array) -> Extent:
    """From where neighbours ever differ (index 0: between the first two) to how many share."""
    places = [index + 1 for index in np.flatnonzero(changes)]
    step = math.gcd(*places) if places else 0
    quiet = sum(due[index] for index in range(len(due)) if not step or (index + 1) % step)
    if len(due) and step != 1 and (quiet < SURE or _overlooked(due, step)):
        return None
    return step or ALL


def _overlooked(due: Array, step: int) -> bool:
    """Whether groups of fewer than `step` (0: than all) would begin where nobody ever looked."""
    sizes = range(2, step or len(due) + 1)
    return any(
        not any(due[at - 1] for at in range(size, len(due) + 1, size) if not step or at % step)
        for size in sizes
        if not step or not step % size
    )


def first_of(values: Array, axis: int, sharing: Extent) -> Array:
    """One value for each decision along `axis`, the axis kept."""
    if sharing is ALL:
        return first_seen(values, axis)
    step = sharing if isinstance(sharing, int) else 1
    return np.take(values, range(0, values.shape[axis], step), axis=axis)


def apart(values: Array, axes: Mapping[str, int]) -> tuple[Array, dict[str, Extent]]:
    """One value for each decision along `axes`, looked at in their order, and who shares them."""
    shared: dict[str, Extent] = {}
    for axis, number in axes.items():
        shared[axis] = extent(values, number)
        # Where too little was seen to tell, count as few decisions as there may be.
        values = first_of(values, number, shared[axis] or ALL)
    return values, shared


def decisions(values: Array, axes: Mapping[str, int], shared: Mapping[str, Extent]) -> Array:
    """One value for each decision along `axes`, where it is known who shares them."""
    for axis, number in axes.items():
        values = first_of(values, number, shared.get(axis) or ALL)
    return values


def changed(tracks: Sequence[Track], step: int, *, noise: bool) -> bool | None:
    """Whether an edge's mask at `step` differs from the last step's; None: too little was seen.

    noise: what is kept differs from one decision to the next, so that values are compared.
    """
    last = np.stack([track.last for track in tracks]).ravel()
    before = np.stack([track.before[step] for track in tracks]).ravel()
    known = ~np.isnan(last) & ~np.isnan(before)
    last, before = last[known], before[known]
    dropped = last == 0.0
    if noise:
        alive = (last != 0.0) & (before != 0.0)
        return _uncorrelated(last[alive], before[alive])
    through = float((before[~dropped] != 0.0).mean()) if (~dropped).any() else 0.0
    due = dropped.sum() * through
    came = (dropped & (before != 0.0)).sum()
    if came > 0.1 * due and came:
        return True
    return False if due >= SURE else None


def _uncorrelated(one: Array, other: Array) -> bool | None:
    if one.size < 100 or np.ptp(one) < CLOSE:
        return None
    if np.ptp(other) < CLOSE * abs(other).max():
        return True
    return bool(abs(np.corrcoef(one, other)[0, 1]) < 0.25)


def cell_changed(tracks: Sequence[Track], *, rate: float, others: float) -> bool | None:
    """As `changed` for CELL where other masks drop the same values.

    `others` is how often those drop, in the last step, what came through before.
    """
    last = np.stack([track.last for track in tracks]).ravel()
    before = np.stack([track.before[-1] for track in tracks]).ravel()
    came = ~np.isnan(last) & (np.nan_to_num(before) != 0.0)
    if came.sum() < 100:
        return None
    gone = float((last[came] == 0.0).mean())
    fresh = 1.0 - (1.0 - rate) * (1.0 - others)
    return abs(gone - fresh) < abs(gone - others)


def begin(tracks: Sequence[Track], *, noise: bool) -> int | None:
    """The first step that shares the last step's decision; None where too little was seen."""
    for step in range(len(tracks[0].before) - 1, -1, -1):
        differs = changed(tracks, step, noise=noise)
        if differs is None:
            return None
        if differs:
            return step + 1
    return 0


def burst(begins: Sequence[tuple[int, int]]) -> Extent:
    """How many steps share a decision: the number at whose multiples the last blocks begin.

    `begins` gives for each window where its last step's block begins, and the last step.
    """
    for steps in range(2, begins[0][1] + 1):
        if all(first == steps * (last // steps) for first, last in begins):
            return steps
    return None


def over_time_held(windows: Sequence[tuple[Sequence[Array], int]]) -> Extent:
    """How many steps share a held value, from how many steps of each window took the new one.

    `windows` gives for each length the counts and that length, the longest first.
    """
    longest = windows[0][1]
    for steps in range(longest, 0, -1):
        fits = [_fits(counts, steps, length) for counts, length in windows]
        if None in fits:
            return None
        if all(fits):
            return ALL if steps == longest else steps
    return None


def _fits(counts: Sequence[Array], steps: int, length: int) -> bool | None:
    """Whether blocks of `steps` can have made the counts; None where too little was seen."""
    known = np.concatenate([values[~np.isnan(values)] for values in counts])
    seen = set(known.astype(int))
    if known.size < 100 or seen <= {length}:
        return None
    sums = {0}
    for begin in range(0, length, steps):
        sums |= {one + min(steps, length - begin) for one in sums}
    return seen <= sums
