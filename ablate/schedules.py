"""How a placement's rates change while a trial is trained: a factor for each update.

A schedule is a pure function of (update, total), so that a trial that was stopped goes on as if it
had not been. It scales every rate of a placement alike; where the factor is 1 nothing changes.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from ablate.errors import AblateError, in_words
from ablate.registry import Registry
from ablate.sources import WRITTEN, from_elsewhere, text_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is common to all schedules: a name, which stands in a placement's canonical text.

    Another package's is a frozen dataclass below this one, with `factor` and a name in capital
    letters; its text has the digest of its source too. `paper` and `bibtex` say whose it is.
    """

    name: str

    paper: ClassVar[str | None] = None
    bibtex: ClassVar[str | None] = None

    def factor(self, update: int, total: int) -> float:
        """What every rate is multiplied by at `update` of a trial of `total`: in [0, 1]."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The canonical text, which enters a result's key."""
        return text_of(self)


@dataclass(frozen=True, slots=True)
class Constant(Schedule):
    """The rates as they stand, at every update."""

    name: str = "CONSTANT"

    def factor(self, update: int, total: int) -> float:
        return 1.0


@dataclass(frozen=True, slots=True)
class Curriculum(Schedule):
    """From nothing to (nearly) the full rates: 1 - exp(-10 update / total).

    Source: Morerio 2017 (arXiv:1703.06229), whose probability of keeping is
    (1 - q) exp(-gamma t) + q with gamma = 10 / total; q is what is kept in the end.
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
        return -math.expm1(-10.0 * update / total)


@dataclass(frozen=True, slots=True)
class Annealed(Schedule):
    """From the full rates to nothing in a straight line: 1 - update / total.

    Source: Rennie 2014 (doi:10.1109/SLT.2014.7078567), who anneals over a number of epochs of its
    own choice; here over the whole trial.
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
    """A schedule of another package that a text states; its name is that whole text.

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
    """Return the schedule of this canonical text; of one that is not ablate's own an `Unknown`.

    Raises UnknownName for what is the text of no schedule.
    """
    return Unknown(text) if from_elsewhere(text) else SCHEDULES.find(text)


def factor_at(schedule: Schedule, update: int, total: int) -> float:
    """The factor of `schedule` at `update` of `total`, checked.

    Raises AblateError for an update beyond the trial, for a factor outside [0, 1], and for whatever
    the schedule raises.
    """
    if not 0 <= update <= total or total < 1:
        raise AblateError(
            f"a schedule runs from update 0 to the trial's last, got update {update} of {total}"
        )
    try:
        factor = schedule.factor(update, total)
    except Exception as error:  # another's code may raise anything
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
