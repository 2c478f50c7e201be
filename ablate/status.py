"""How a trial ends."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """How an attempt at a trial ended; `DIVERGED` has no scores, `FAILED` an error instead.

    `PRUNED` is a trial that a search stopped at a rung: it has curves and no scores.
    """

    OK = "ok"
    DIVERGED = "diverged"
    PRUNED = "pruned"
    FAILED = "failed"


#: What ends a trial for good; a failed one is tried again.
COMMITTED: Final = (Status.OK, Status.DIVERGED, Status.PRUNED)
