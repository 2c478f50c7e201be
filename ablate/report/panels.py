"""All the panels of a combination, in the order in which a report shows them."""

from collections.abc import Callable
from typing import Final

from ablate.report import designs, importance, tuned
from ablate.report.combination import Combination
from ablate.report.panel import Panel

#: What makes panels; each makes none of a combination to which it does not apply.
MAKERS: Final[tuple[Callable[[Combination], tuple[Panel, ...]], ...]] = (
    tuned.panels,
    importance.panels,
    designs.panels,
)

#: Every name that a panel may have: files of these names that a report does not write are removed.
NAMES: Final = ("tried", "importances", "factorial-effects", "leave-one-out")


def panels_of(part: Combination) -> tuple[Panel, ...]:
    """The tables beside the main one; none of a study that only repeats its placements."""
    return tuple(panel for panels in MAKERS for panel in panels(part))
