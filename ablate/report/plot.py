"""A kind of figure: what it is called, what it shows, how it is drawn and when it applies."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from ablate.report.combination import Combination
from ablate.report.tuned import shown
from ablate.status import Status

BARS = (
    "Bars are 95 % Student-t intervals of each mean by itself (three seeds or more); whether two "
    "placements differ is asked of their paired differences."
)


@dataclass(frozen=True, slots=True)
class Plot:
    """One kind of figure: its file's name, its title, what it shows, and how it is drawn.

    `rows` are what is drawn, in full: an axis may end before a number does. `bars` says what its
    intervals are, and `crowded` what is left out where a study has more placements than the figure
    can name. A figure that not every study has, of a search or of a design, `applies` to some
    combinations. It is given the whole of one, and `tells` what was measured and left out; the
    others are given what the main table shows, and their captions tell of its baseline and seeds.
    """

    name: str
    title: str
    shows: str
    draw: Callable[[Combination], Figure]
    rows: Callable[[Combination], pd.DataFrame]
    bars: str = BARS
    crowded: str = ""
    needs_finished: bool = True
    applies: Callable[[Combination], bool] = lambda part: True
    tells: Callable[[Combination], str] | None = None

    def of(self, part: Combination) -> Combination:
        """What of a combination is drawn."""
        return shown(part) if self.tells is None else part

    def drawable(self, part: Combination) -> bool:
        """Whether there is anything to draw."""
        own = self.of(part)
        finished = own.count(Status.OK) > 0
        return self.applies(part) and (
            finished or (len(own.epochs) > 0 and not self.needs_finished)
        )
