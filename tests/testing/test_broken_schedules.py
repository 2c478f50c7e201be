"""A schedule that breaks its contract fails it, and the failure says what is wrong in words."""

import itertools
from dataclasses import dataclass
from typing import Literal

import pytest

from ablate.schedules import Schedule
from ablate.testing import ScheduleContract

_calls = itertools.count()


@dataclass(frozen=True, slots=True)
class Ramp(Schedule):
    """From 0 to `top` over a trial; slips by `slip`."""

    name: str = "RAMP"
    top: float = 1.0
    slip: Literal["count", "ends", "none"] = "none"

    def factor(self, update, total):
        if self.slip == "count":
            return next(_calls) % 10 / 10
        return self.top * update / (total - 1 if self.slip == "ends" else total)


@pytest.mark.parametrize(
    ("schedule", "test", "total"),
    [
        pytest.param(
            Ramp(top=1.5),
            "test_every_factor_is_a_fraction",
            3,
            id="beyond-one",
        ),
        pytest.param(
            Ramp(slip="ends"),
            "test_every_factor_is_a_fraction",
            1,
            id="one-update",
        ),
        pytest.param(
            Ramp(slip="count"),
            "test_a_factor_depends_on_its_update_alone",
            10,
            id="impure",
        ),
    ],
)
def test_a_broken_schedule_fails_in_words(schedule, test, total, wording):
    """The message names the schedule, the update and the factor."""
    broken = type("TestBroken", (ScheduleContract,), {"schedule": schedule})()
    with pytest.raises(AssertionError) as failure:
        getattr(broken, test)(total)
    wording(str(failure.value).partition("\n")[0])


def test_an_honest_one_beside_the_broken_passes():
    """What the broken ones are made of is not what fails."""
    honest = type("TestRamp", (ScheduleContract,), {"schedule": Ramp()})()
    honest.test_it_is_a_value()
    honest.test_every_factor_is_a_fraction(1)
    honest.test_a_factor_depends_on_its_update_alone(10)
    honest.test_a_placement_carries_it()
