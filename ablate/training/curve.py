"""What a trial's learning curve says: its best epoch, and whether the trial diverged.

`rows` are a trial's rows of `epochs` so far, in their order.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

Row = dict[str, Any]

# A trial has diverged by its training loss where that lies above so many times ln V, the loss of
# guessing among V words, in so many epochs running: a net that learns leaves such an epoch behind.
_TIMES_GUESSING: Final = 2.0
_EPOCHS_RUNNING: Final = 2
# Fewer types count as ten. Guessing between two costs .7 nats, and a net that is sure of what it
# has half learnt pays more than twice that for some epochs before it learns the rest.
_FEWEST_TYPES: Final = 10


def diverged(rows: Sequence[Row], types: int) -> bool:
    """Whether a trial with a vocabulary of `types` words is over because it diverged.

    That is a loss or gradient that is not finite, or a training loss (dropout on) above 2 ln V in
    two epochs running, V being ten at least. Validation ends no trial: a net that is sure of what
    it has learnt may be far worse than guessing where the text differs, and go on learning.
    """
    if not rows:
        return False
    # Of who left within the epoch nothing was evaluated.
    if rows[-1]["valid_nll"] is None:
        return True
    losses = [row["running_nll"] for row in rows[-_EPOCHS_RUNNING:]]
    highest = _TIMES_GUESSING * math.log(max(types, _FEWEST_TYPES))
    return len(losses) == _EPOCHS_RUNNING and min(losses) > highest


def best_epoch(rows: Sequence[Row]) -> int:
    """The epoch, counted from 1, of the lowest valid nll; one that is not finite is above any."""
    losses = [_comparable(row["valid_nll"]) for row in rows]
    return 1 + losses.index(min(losses))


def _comparable(nll: float | None) -> float:
    return math.inf if nll is None or math.isnan(nll) else nll
