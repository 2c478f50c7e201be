"""How an attempt at a trial ended."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The words of the column `status`."""

    OK = "ok"
    DIVERGED = "diverged"
    FAILED = "failed"


#: A trial that ended so is not trained again.
COMMITTED: Final = (Status.OK, Status.DIVERGED)
