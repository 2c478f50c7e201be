"""How a placement's rates change during training: a factor for each update.

A schedule is a pure function of (update, total), so a resumed trial gets the same rates as one that
was never stopped. The factor multiplies every rate of a placement; 1 leaves them unchanged.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from ablate.errors import AblateError, in_words
from ablate.registry import Registry
from ablate.sources import WRITTEN, from_elsewhere, text_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """The base of all schedules: a name, which enters a placement's canonical text.

    A plugin's schedule is a frozen subclass dataclass with `factor` and a name in capital letters;
    its text also holds the digest of its source. `paper` and `bibtex` name its source.
    """

    name: str

    paper: ClassVar[str | None] = None
    bibtex: ClassVar[str | None] = None

    def factor(self, update: int, total: int) -> float:
        """The factor of every rate at `update` of a trial of `total` updates, in [0, 1]."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The canonical text, which enters a result's key."""
        return text_of(self)


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """The stated rates at every update."""

    name: str = "CONSTANT"

    def factor(self, update: int, total: int) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Curriculum(Schedule):
    """From zero to (nearly) the full rates: 1 - exp(-10 update / total).

    Source: Morerio 2017 (arXiv:1703.06229), whose keep probability is
    (1 - q) exp(-gamma t) + q with gamma = 10 / total; q is the final keep probability.
    """

    name: str = "CURRICULUM"

    paper: ClassVar[str | None] = "arXiv:1703.06229"
    bibtex: ClassVar[str | None] = """@inproceedings{morerio2017curriculum,
  title     = {Curriculum Dropout},
  author    = {Morerio, Pietro and Cavazza, Jacopo and Volpi, Riccardo and Vidal, Ren{\\'e}
               and Murino, Vittorio},
  booktitle = {IEEE International Conference on Computer Vision},
  year      = {2017}
}"""

    def factor(self, update: int, total: int) -> float:
        # The drop rate is 1 - keep = (1 - q) (1 - exp(-gamma t)); expm1 is exact near update 0.
        return -math.expm1(-10.0 * update / total)


@dataclass(frozen=True, slots=True)
class Annealed(Schedule):
    """Linearly from the full rates to zero: 1 - update / total.

    Source: Rennie 2014 (doi:10.1109/SLT.2014.7078567), who chooses a number of epochs to anneal
    over; here it is the whole trial.
    """

    name: str = "ANNEALED"

    paper: ClassVar[str | None] = "doi:10.1109/SLT.2014.7078567"
    bibtex: ClassVar[str | None] = """@inproceedings{rennie2014annealed,
  title     = {Annealed Dropout Training of Deep Networks},
  author    = {Rennie, Steven J. and Goel, Vaibhava and Thomas, Samuel},
  booktitle = {IEEE Spoken Language Technology Workshop},
  year      = {2014},
  doi       = {10.1109/SLT.2014.7078567}
}"""

    def factor(self, update: int, total: int) -> float:
        return 1.0 - update / total


@dataclass(frozen=True, slots=True)
class Unknown(Schedule):
    """A plugin's schedule read from a text; its name is that whole text.

    It can be compared and shown. `factor` raises AblateError.
    """

    def factor(self, update: int, total: int) -> float:
        raise AblateError(
            f"schedule {self.name} was read from a text, which does not say how it runs; build the "
            "placement from the strategy that has it"
        )


SCHEDULES: Final[Registry[Schedule]] = Registry("schedule", elsewhere=WRITTEN)
CONSTANT: Final = SCHEDULES.add("CONSTANT", Constant())
CURRICULUM: Final = SCHEDULES.add("CURRICULUM", Curriculum())
ANNEALED: Final = SCHEDULES.add("ANNEALED", Annealed())


def parse_schedule(text: str) -> Schedule:
    """Return the schedule with this canonical text; a plugin's becomes an `Unknown`.

    Raises UnknownName for any other text.
    """
    return Unknown(text) if from_elsewhere(text) else SCHEDULES.find(text)


def factor_at(schedule: Schedule, update: int, total: int) -> float:
    """The factor of `schedule` at `update` of `total`, checked.

    Raises AblateError for an update beyond the trial, for a factor outside [0, 1], and for any
    exception of the schedule.
    """
    if not 0 <= update <= total or total < 1:
        raise AblateError(
            f"a schedule runs from update 0 to the trial's last, got update {update} of {total}"
        )
    try:
        factor = schedule.factor(update, total)
    except Exception as error:  # a plugin may raise anything
        raise AblateError(
            f"schedule {schedule.name} raises {in_words(error)} at update {update} of {total}"
        ) from error
    if not isinstance(factor, int | float) or not 0.0 <= factor <= 1.0:
        raise AblateError(
            f"schedule {schedule.name} must give a factor in [0, 1], got {factor!r} at update "
            f"{update} of {total}",
            given=factor,
        )
    return float(factor)
