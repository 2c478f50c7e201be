"""The contract of a schedule: a pure function of (update, total) to a factor in [0, 1]."""

import copy
import itertools

import pytest

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.schedules import CONSTANT, Schedule
from ablate.testing.contract import Contract

# A trial of one update, short ones, and one longer than any that is run.
TOTALS = (1, 2, 3, 10, 1000, 10**9)


def updates_of(total: int) -> list[int]:
    """Updates of a trial, its ends included; all of them where they are few.

    A schedule is asked before the first update, which is 0, and after the last, which is `total`.
    """
    return sorted({*range(min(total, 1000) + 1), total // 3, total // 2, total - 1, total})


class ScheduleContract(Contract):
    """What holds for every schedule; a subclass says which.

    class TestMine(ScheduleContract):
        schedule = MINE
    """

    schedule: Schedule

    def test_it_is_a_value(self) -> None:
        """A copy is equal and has the same hash, so that equal placements have one text."""
        twin = copy.deepcopy(self.schedule)
        assert twin == self.schedule, (
            f"a copy of the schedule {self.schedule.name} differs from it: make it a frozen "
            "dataclass"
        )
        assert hash(twin) == hash(self.schedule)
        assert twin.text == self.schedule.text

    @pytest.mark.parametrize("total", TOTALS)
    def test_every_factor_is_a_fraction(self, total: int) -> None:
        """From before the first update to after the last each factor lies in [0, 1]."""
        for update in updates_of(total):
            factor = self._factor(update, total)
            assert isinstance(factor, int | float)
            assert 0.0 <= factor <= 1.0, (
                f"schedule {self.schedule.name} gives the factor {factor} at update {update} of "
                f"{total}; a factor lies in [0, 1]: the strategy's rates are the largest there are"
            )

    @pytest.mark.parametrize("total", TOTALS)
    def test_a_factor_depends_on_its_update_alone(self, total: int) -> None:
        """A trial that was stopped goes on at an update that it never counted up to."""
        forward = [self._factor(update, total) for update in updates_of(total)]
        backward = [self._factor(update, total) for update in updates_of(total)[::-1]]
        assert forward == backward[::-1], (
            f"schedule {self.schedule.name} is no pure function of (update, total): another order "
            "of calls gives other factors"
        )

    def test_a_placement_carries_it(self) -> None:
        """It stands in the canonical text, and scales every rate at each update alike."""
        drops = {Edge.INPUT: Drop(0.5), Edge.CELL: Drop((0.2, 0.8))}
        placement = Placement(drops, self.schedule)
        assert placement.schedule == self.schedule
        assert (placement == Placement(drops)) == (self.schedule == CONSTANT)
        assert (placement.text == Placement(drops).text) == (self.schedule == CONSTANT)
        for update, total in itertools.product((0, 1, 7, 10), (10, 1000)):
            factor = self._factor(update, total)
            now = placement.at(update, total)
            assert now.schedule == CONSTANT
            for edge, drop in drops.items():
                assert now.get(edge, Drop(0.0)).rate == drop.scaled(factor).rate

    def _factor(self, update: int, total: int) -> float:
        try:
            return self.schedule.factor(update, total)
        except Exception as error:
            raise AssertionError(
                f"schedule {self.schedule.name} has no factor at update {update} of {total}: "
                f"{type(error).__name__}: {error}; a trial may have one update, and is evaluated "
                "before its first and after its last"
            ) from error
