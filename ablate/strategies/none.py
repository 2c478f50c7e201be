"""No dropout: the unit of `|`, and the baseline of every study."""

from ablate.placement import Placement
from ablate.strategies.decorator import strategy


@strategy()
def none() -> Placement:
    """Drop nothing.

    Zaremba trains the `small` net without dropout (arXiv:1409.2329, table 1).
    Evaluation: the net itself, exact.
    """
    return Placement()
