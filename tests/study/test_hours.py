"""A limit on a run's time: what could not end within it is not begun, and is said."""

import io
import math
from pathlib import Path
from typing import Any

import pytest
from fake_training import Fake
from matrix import SLOT, entries, new_store
from rich.console import Console

from ablate.errors import WrongValue
from ablate.study.board import Board
from ablate.study.cohorts import Cohorts
from ablate.study.driver import run
from ablate.study.entries import Entry
from ablate.study.events import Slot
from ablate.study.executors import InProcess
from ablate.study.hours import Hours
from ablate.study.pace import Kind

KIND = Cohorts().kind


def _board(wanted: list[Entry]) -> Board:
    return Board.of({entry.trial.key: entry for entry in wanted}, {}, 1)


@pytest.mark.parametrize("hours", [math.nan, 0.0, -1.0])
def test_a_limit_is_above_0(hours: float, refused: Any):
    """What is no number is no limit: nothing would ever fit."""
    with refused(WrongValue):
        Hours(hours, {}, KIND)


def test_what_ends_in_time_fits():
    """A cohort takes its trials' shares together, and a tenth more for the machine's moods."""
    wanted = entries((1, 2, 3))
    hours = Hours(1.0, {KIND(wanted[0].trial): 1000.0}, KIND, began=0.0)
    board = _board(wanted)
    assert hours.fits(wanted[:3], board, now=299.0)
    assert not hours.fits(wanted[:3], board, now=301.0)
    assert hours.fits(wanted[:1], board, now=2499.0)
    assert not hours.fits(wanted[:1], board, now=2501.0)


def test_an_unknown_kind_is_taken_for_the_slowest():
    """What was never timed begins only where the slowest would end."""
    wanted = entries((1,))
    hours = Hours(1.0, {"one": 100.0, "other": 1800.0}, KIND, began=0.0)
    assert hours.fits(wanted, _board(wanted), now=1600.0)
    assert not hours.fits(wanted, _board(wanted), now=1700.0)


def test_what_was_learnt_goes_before_the_estimate():
    """Trials of this kind took ten seconds an epoch in this store."""
    wanted = entries((1, 2))
    board = _board(wanted)
    slot = Slot("cpu", 1)
    epochs = wanted[0].trial.recipe.epochs
    kind = Kind.of(wanted[0].trial, slot)
    board.pace.end(kind, {"seconds": 10.0 * epochs, "epochs": epochs})
    board._slot = slot  # pyright: ignore[reportPrivateUsage]
    hours = Hours(1.0, {KIND(wanted[0].trial): 5000.0}, KIND, began=0.0)
    assert hours.fits(wanted[:1], board, now=3566.0)
    assert not hours.fits(wanted[:1], board, now=3568.0)


def test_what_other_kinds_took_tells_nothing():
    """Another device's trials are no measure of these, nor are epochs without their evaluation."""
    wanted = entries((1,))
    slot = Slot("cpu", 1)
    kind = Kind.of(wanted[0].trial, slot)
    board = _board(wanted)
    board.pace.end(kind._replace(device="another"), {"seconds": 2.0, "epochs": 2})
    board.pace.take(kind, 1.0)
    board._slot = slot  # pyright: ignore[reportPrivateUsage]
    hours = Hours(1.0, {KIND(wanted[0].trial): 1800.0}, KIND, began=0.0)
    assert hours.fits(wanted, board, now=1600.0)
    assert not hours.fits(wanted, board, now=1700.0)


def test_a_run_begins_what_fits_and_the_next_goes_on(tmp_path: Path):
    """Nothing of this fits, and the same without a limit trains all."""
    store, wanted = new_store(tmp_path), entries((1, 2), (0.25, 0.5))
    hours = Hours(1e-3, {KIND(wanted[0].trial): 1000.0}, KIND)

    def go(limit: Hours | None) -> tuple[int, int]:
        summary = run(
            wanted,
            store,
            InProcess(Fake(), SLOT),
            slots=1,
            console=Console(file=io.StringIO()),
            hours=limit,
        )
        return summary.trained, summary.left

    assert go(hours) == (0, 4)
    assert go(None) == (4, 0)
