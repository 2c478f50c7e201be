"""All the panels of a combination, in the order in which a report shows them."""

from typing import Final

from ablate.report import designs, importance, tuned
from ablate.report.combination import Combination
from ablate.report.panel import Panel

#: Every name that a panel may have: files of these names from an earlier report are removed.
NAMES: Final = ("tried", "importances", "factorial-effects", "leave-one-out")


def panels_of(part: Combination) -> tuple[Panel, ...]:
    """The tables beside the main one; none of a study that only repeats its placements."""
    return (
        *tuned.panels(part),
        *importance.panels(part),
        *designs.panels(part),
    )
