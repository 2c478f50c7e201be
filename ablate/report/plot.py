"""A kind of figure: what it is called, what it shows, how it is drawn and when it applies."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from ablate.report.combination import Combination


@dataclass(frozen=True, slots=True)
class Plot:
    """One kind of figure: its file's name, its title, what it shows and how it is drawn.

    `crowded` is said where a study has more placements than the figure can name. A figure that not
    every study has `applies` to some combinations, and `tells` of one what was measured and left
    out, in place of what captions say of the baseline, the bars and the seeds of all placements.
    """

    name: str
    title: str
    shows: str
    draw: Callable[[Combination], Figure]
    crowded: str = ""
    needs_finished: bool = True
    applies: Callable[[Combination], bool] = lambda part: True
    tells: Callable[[Combination], str] | None = None
