"""What a run shows: counts and times left, a live table on a terminal, plain lines elsewhere."""

import io
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from matrix import SLOT, entries, without_clock
from rich.console import Console

from ablate.study.events import Assignment, EpochDone, Event, Failed, Finished, Noted, Started
from ablate.study.progress import Board, Progress

ASSIGNMENTS = [Assignment(entry.trial, 1, Path("work")) for entry in entries((1, 2, 3))]
NAMES = {entry.trial.key: entry.name for entry in entries((1, 2, 3))}
ROW = {"epoch": 1, "train_nll": 5.0, "valid_nll": 5.5, "seconds": 10.0}


def board() -> Board:
    """Three trials of three epochs on two slots."""
    return Board(NAMES, total=3, done=0, slots=2)


def test_time_left_is_unknown_before_an_epoch_ended() -> None:
    """Nothing is promised before anything was measured."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    assert ahead.left(now=5.0) is None
    assert ahead.running[ASSIGNMENTS[0].trial.key].left(now=5.0) is None


def test_time_left_of_a_trial_and_of_the_run() -> None:
    """A trial: its epochs ahead; the run: those of all that runs and waits, over the slots."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    ahead.take(Started(ASSIGNMENTS[1], SLOT), now=0.0)
    ahead.take(EpochDone(ASSIGNMENTS[0], ROW), now=10.0)

    assert ahead.running[ASSIGNMENTS[0].trial.key].left(now=14.0) == 16.0
    # 16 s of the first, and by its measure 30 s of each of the other two, on two slots.
    assert ahead.left(now=14.0) == (16 + 30 + 30) / 2

    ahead.take(Finished(ASSIGNMENTS[0], "ok", {"seconds": 40.0}, [], {}), now=30.0)
    assert (ahead.done, list(ahead.running)) == (1, [ASSIGNMENTS[1].trial.key])
    assert ahead.left(now=30.0) == (40 + 40) / 2


def test_time_left_in_a_cohort() -> None:
    """A trial ends by the clock; the run needs of it only its share of its companions' time."""
    ahead = board()
    for assignment in ASSIGNMENTS[:2]:
        ahead.take(Started(assignment, SLOT), now=0.0)
    for assignment in ASSIGNMENTS[:2]:
        ahead.take(EpochDone(assignment, ROW), now=20.0)

    # Epochs of 20 s in which each of the two had 10: two more of 20 s to come.
    assert ahead.running[ASSIGNMENTS[0].trial.key].left(now=25.0) == 35.0
    # 17.5 s of each on one of the two slots, and the 30 s of the third.
    assert ahead.left(now=25.0) == (17.5 + 17.5 + 30) / 2


def test_a_failure_leaves_the_trial_undone() -> None:
    """A failed attempt stops running and is not counted as done."""
    ahead = board()
    ahead.take(Started(ASSIGNMENTS[0], SLOT), now=0.0)
    ahead.take(Failed(ASSIGNMENTS[0], "its worker died (SIGKILL)", died=True), now=1.0)
    assert (ahead.done, ahead.running) == (0, {})


def _shown(events: list[Event], *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=90, record=True)
    progress = Progress(console, board())
    with progress.shown():
        for event in events:
            progress.show(event)
    return console.export_text()


STORY: list[Event] = [
    Started(ASSIGNMENTS[0], SLOT),
    Started(ASSIGNMENTS[1], SLOT),
    Noted("RuntimeWarning: no C++ compiler was found"),
    Noted("RuntimeWarning: no C++ compiler was found"),
    EpochDone(ASSIGNMENTS[0], ROW),
    Failed(ASSIGNMENTS[1], "Traceback ...\nRuntimeError: out of memory", died=False),
    Failed(ASSIGNMENTS[1], "its worker died (SIGKILL)", died=True, company=3),
    Finished(
        ASSIGNMENTS[0],
        "ok",
        {"headline": "best", "valid_nll_best": 5.0, "test_nll_best": 4.9, "seconds": 100.0},
        [ROW],
        {},
    ),
    Started(ASSIGNMENTS[2], SLOT),
    Finished(ASSIGNMENTS[2], "diverged", {}, [ROW, ROW], {}),
]


def test_one_plain_line_an_event_without_a_terminal() -> None:
    """A log reads like a story; a warning that every worker has is told once."""
    assert without_clock(_shown(STORY, terminal=False)) == [
        "[0/3] input 0.5, seed 1: started on cpu, 1 thread(s)",
        "[0/3] input 0.5, seed 2: started on cpu, 1 thread(s)",
        "RuntimeWarning: no C++ compiler was found",
        "[0/3] input 0.5, seed 1: epoch 1/3, perplexity train 148.4 valid 244.7, 10 s",
        "[0/3] input 0.5, seed 2: failed: RuntimeError: out of memory",
        "[0/3] input 0.5, seed 2: failed beside 2 other(s), is tried alone: its worker died "
        "(SIGKILL)",
        "[1/3] input 0.5, seed 1: finished in 100 s, perplexity valid 148.4 test 134.3",
        "[1/3] input 0.5, seed 3: started on cpu, 1 thread(s)",
        "[2/3] input 0.5, seed 3: diverged in epoch 2",
    ]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of the board, which stands still unless a test moves it."""
    moved = SimpleNamespace(now=0.0)
    monkeypatch.setattr(
        "ablate.study.progress.time",
        SimpleNamespace(monotonic=lambda: moved.now, strftime=time.strftime),
    )
    return moved


def test_a_terminal_shows_each_running_trial(clock: SimpleNamespace) -> None:
    """The table has the trial, its epoch, its perplexities and the time left, and the whole."""
    console = Console(file=io.StringIO(), width=90)
    progress = Progress(console, board())
    for event in (STORY[0], STORY[1]):
        progress.show(event)
    clock.now = 10.0
    progress.show(STORY[4])
    with console.capture() as captured:
        console.print(progress.table())

    heading, first, second, whole = captured.get().splitlines()
    assert heading.split() == ["trial", "epoch", "train", "ppl", "valid", "ppl", "left"]
    assert first.split() == ["input", "0.5,", "seed", "1", "1/3", "148.4", "244.7", "20", "s"]
    assert second.split() == ["input", "0.5,", "seed", "2", "0/3", "-", "-", "-"]
    assert "0/3 trials 10 s, about 40 s left" in whole


def test_a_terminal_shows_as_many_trials_as_fit(clock: SimpleNamespace) -> None:
    """Beyond its height one line counts the others and says between which epochs they are."""
    many = [Assignment(entry.trial, 1, Path("work")) for entry in entries(range(20))]
    names = {entry.trial.key: entry.name for entry in entries(range(20))}
    console = Console(file=io.StringIO(), width=90, height=12)
    progress = Progress(console, Board(names, total=20, done=0, slots=2))
    for assignment in many:
        progress.show(Started(assignment, SLOT))
    clock.now = 10.0
    progress.show(EpochDone(many[-1], ROW))
    with console.capture() as captured:
        console.print(progress.table())

    _, *shown, others, whole = captured.get().splitlines()
    assert len(captured.get().splitlines()) == 10
    assert [line.split("  ")[0] for line in shown] == [f"input 0.5, seed {s}" for s in range(7)]
    assert others.split() == ["and", "13", "more", "0", "to", "1"]
    assert "0/20 trials" in whole


def test_a_terminal_has_lines_only_for_what_stays() -> None:
    """Starts and epochs are the table's; endings, failures and warnings stay above it."""
    shown = _shown(STORY, terminal=True)
    assert "finished in 100 s" in shown
    assert shown.count("no C++ compiler") == 1
    assert "epoch 1/3" not in shown
    assert "started" not in shown
