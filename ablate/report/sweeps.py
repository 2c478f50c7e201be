"""Which placements belong together: sweeps of one dial, and the best of each."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ablate.report.kinds import edge_group

# More panels, rows or names than this are not read but skipped.
MOST = 30

# Points hide one another within this part of the whole range, and move so far along the dial.
_CLOSE, _STEP = 0.02, 0.012


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Placements on one line, at `x` in its order: those that differ in the dial alone, or one."""

    name: str
    rows: pd.DataFrame
    x: tuple[float, ...]

    @property
    def placement(self) -> str:
        """The canonical text of its first placement; the others differ in rates alone."""
        return str(self.rows["placement"].iloc[0])

    @property
    def colour(self) -> str:
        """The colour of its kind."""
        return edge_group(self.placement).colour

    @property
    def points(self) -> np.ndarray:
        """x and mean perplexity, [rows, 2]."""
        return np.column_stack([self.x, self.rows["valid_ppl"].to_numpy(dtype=np.float64)])

    @property
    def seeds(self) -> np.ndarray:
        """x and each seed's perplexity, [seeds, 2]."""
        values = zip(self.x, self.rows["valid_ppl_values"], strict=True)
        return np.array([(x, value) for x, row in values for value in row])


def curves_of(rows: pd.DataFrame) -> list[Curve]:
    """Group placements into sweeps: one strategy with the same choices (all but rates)."""
    choices = rows["arguments"].map(_choices)
    curves = []
    for _, group in rows.groupby([rows["strategy"], choices], sort=False):
        ordered = group.sort_values("dial_value", kind="stable")
        x = tuple(ordered["dial_value"].astype(float))
        curves.append(Curve(without_dial(ordered["label"].iloc[0], x[0]), ordered, x))
    return curves


def side_by_side(curves: list[Curve]) -> list[Curve]:
    """Move points that would hide one another apart along the dial.

    Sweeps keep their place as far as they can. Two points hide one another where their seeds and
    intervals come close.
    """
    boxes = [_spans(curve) for curve in curves]
    everything = np.concatenate([np.zeros((0, 2)), *boxes])
    margin = _CLOSE * float(np.ptp(everything)) if everything.size else 0.0
    moved = {index: list(curve.x) for index, curve in enumerate(curves)}
    taken: dict[tuple[float, int], list[np.ndarray]] = {}
    for index in sorted(moved, key=lambda index: -len(curves[index].x)):
        for place, (x, box) in enumerate(zip(curves[index].x, boxes[index], strict=True)):
            slot = next(slot for slot in _slots() if _free(box, taken.get((x, slot), []), margin))
            taken.setdefault((x, slot), []).append(box)
            moved[index][place] = x + _STEP * slot
    return [Curve(curve.name, curve.rows, tuple(moved[i])) for i, curve in enumerate(curves)]


def spotlight(summary: pd.DataFrame, *, most: int = MOST) -> pd.DataFrame:
    """Return the rows to show: all, or, above `most`, each sweep's of lowest validation perplexity.

    The baseline always stays; a caption says so where rows were left out.
    """
    if len(summary) <= most:
        return summary
    return summary[chosen_by_validation(summary)]


def chosen_by_validation(rows: pd.DataFrame) -> pd.Series:
    """Whether a row has the lowest mean validation perplexity of its sweep, or is the baseline.

    A sweep is one strategy with the same choices (all but rates). Of equal rows it is the first,
    and so it is where none has finished.
    """
    ordered = rows.sort_values("valid_ppl", kind="stable")
    sweeps = ordered.assign(choices=ordered["arguments"].map(_choices))
    best = sweeps.drop_duplicates(["strategy", "choices"]).index
    return rows.index.to_series().isin(best) | rows["baseline"].astype(bool)


def without_dial(label: str, dial_value: float | None) -> str:
    """A label without the dial's value, for where that stands by itself: `zaremba2014 .5`."""
    if dial_value is None or np.isnan(dial_value):
        return label
    words = [word for word in label.split(" ") if _number(word) != dial_value]
    return " ".join(words) or label


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _choices(arguments: str) -> str:
    given = json.loads(arguments).items()
    return ", ".join(f"{name}={value}" for name, value in given if not isinstance(value, float))


def _slots() -> Iterator[int]:
    """0, 1, -1, 2, -2, ..."""
    yield 0
    for distance in itertools.count(1):
        yield from (distance, -distance)


def _free(box: np.ndarray, others: list[np.ndarray], margin: float) -> bool:
    return all(box[0] > other[1] + margin or box[1] < other[0] - margin for other in others)


def _spans(curve: Curve) -> np.ndarray:
    """From the lowest to the highest of seeds and interval, for each row: [rows, 2]."""
    ends = curve.rows[["valid_ppl_low", "valid_ppl_high"]].to_numpy(dtype=np.float64)
    seeds = curve.rows["valid_ppl_values"]
    spans = [[*values, *end] for values, end in zip(seeds, ends, strict=True)]
    return np.array([(np.nanmin(span), np.nanmax(span)) for span in spans])
