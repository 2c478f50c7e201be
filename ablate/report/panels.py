"""All the panels of a combination, in the order in which a report shows them."""

from collections.abc import Callable
from typing import Final

from ablate.report import designs, importance, published, tuned
from ablate.report.combination import Combination
from ablate.report.ensemble import tokens_of
from ablate.report.panel import Panel
from ablate.store import Store

#: What makes panels; each makes none of a combination to which it does not apply.
MAKERS: Final[tuple[Callable[[Combination], tuple[Panel, ...]], ...]] = (
    tuned.panels,
    importance.panels,
    designs.panels,
)


def panels_of(part: Combination, store: Store | None = None) -> tuple[Panel, ...]:
    """The tables beside the main one; none of a study that only repeats its placements.

    `store` has the tokens from which ensembles are computed; without it none are.
    """
    beside = published.panels(part, tokens_of(store) if store else None)
    return (*(panel for panels in MAKERS for panel in panels(part)), *beside)
