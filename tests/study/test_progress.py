"""What a run shows: counts and times left, a live table on a terminal, plain lines elsewhere."""

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matrix import SLOT, entries, without_clock
from rich.console import Console

from ablate.study.board import Board
from ablate.study.events import (
    Assignment,
    Compiling,
    EpochDone,
    Event,
    Failed,
    Finished,
    Noted,
    Progressed,
    Started,
)
from ablate.study.progress import Progress

ASSIGNMENTS = [Assignment(entry.trial, 1, Path("work")) for entry in entries((1, 2, 3))]
ROW = {"epoch": 1, "train_nll": 5.0, "valid_nll": 5.5, "seconds": 10.0}


def board() -> Board:
    """Three trials of three epochs on two slots."""
    return Board.of({entry.trial.key: entry for entry in entries((1, 2, 3))}, {}, 2)


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
KEYS = tuple(assignment.trial.key for assignment in ASSIGNMENTS)


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
    stands = SimpleNamespace(monotonic=lambda: moved.now, strftime=time.strftime)
    for module in ("progress", "board"):
        monkeypatch.setattr(f"ablate.study.{module}.time", stands)
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
    assert second.split() == ["input", "0.5,", "seed", "2", "0/3", "-", "-", "20", "s"]
    assert "0/3 trials 10 s, about 35 s left" in whole


def test_a_terminal_shows_as_many_trials_as_fit(clock: SimpleNamespace) -> None:
    """Beyond its height one line counts the others and says between which epochs they are."""
    many = [Assignment(entry.trial, 1, Path("work")) for entry in entries(range(20))]
    wanted = {entry.trial.key: entry for entry in entries(range(20))}
    console = Console(file=io.StringIO(), width=90, height=12)
    progress = Progress(console, Board.of(wanted, {}, 2))
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


def test_what_is_compiled_is_said_once_in_plain_lines(clock: SimpleNamespace) -> None:
    """Each kind of kernel has one line, whatever worker asks for it; shares of epochs have none."""
    told: list[Event] = [
        *STORY[:2],
        Compiling(KEYS[:2], "the step of the loop"),
        Compiling(KEYS[:1], "the softmax"),
        Compiling(KEYS[1:2], "the step of the loop"),
        Progressed({KEYS[0]: 1, KEYS[1]: 1}, 0.5),
    ]
    assert without_clock(_shown(told, terminal=False))[2:] == [
        "compiling the step of the loop, for input 0.5, seed 1 and 1 more",
        "compiling the softmax, for input 0.5, seed 1",
    ]
    assert "compiling the softmax," not in _shown(told, terminal=True)


def test_a_terminal_shows_shares_of_epochs_and_what_is_compiled(clock: SimpleNamespace) -> None:
    """Tenths of the epoch under way, rounded down, and beside the name what a trial waits for."""
    console = Console(file=io.StringIO(), width=90)
    progress = Progress(console, board())
    progress.show(Started(ASSIGNMENTS[0], SLOT))
    progress.show(Progressed({KEYS[0]: 3}, 0.0))
    progress.show(Compiling(KEYS[:1], "the softmax"))

    def first() -> list[str]:
        with console.capture() as captured:
            console.print(progress.table())
        return captured.get().splitlines()[1].split("  ")

    assert first()[0] == "input 0.5, seed 1 (compiling the softmax)"
    assert "2/3" in first()
    progress.show(Progressed({KEYS[0]: 3}, 0.99))
    assert first()[0] == "input 0.5, seed 1"
    assert "2.9/3" in first()


def test_a_minute_of_silence_is_broken(clock: SimpleNamespace) -> None:
    """One line a minute says what is under way, how far, and about how long is left."""
    console = Console(file=io.StringIO(), width=200, record=True)
    progress = Progress(console, board())

    def said(now: float) -> list[str]:
        clock.now = now
        progress.keep()
        return without_clock(console.export_text())

    assert said(59.0) == []
    assert said(60.0) == ["[0/3] no trial is under way yet"]
    progress.show(STORY[0])
    progress.show(Compiling(KEYS[:1], "the softmax"))
    assert len(said(119.9)) == 2
    assert said(120.0) == ["[0/3] under way: input 0.5, seed 1, epoch 0/3, compiling the softmax"]
    progress.show(Progressed({KEYS[0]: 1}, 0.0))
    progress.show(STORY[1])
    console.export_text()
    clock.now = 180.0
    progress.show(Progressed({KEYS[0]: 1}, 0.25))
    clock.now = 200.0
    progress.show(Progressed({KEYS[0]: 1}, 0.5))
    # 20 s a quarter: 200 s are left of the first, 240 s of the second and the third, on two slots.
    assert said(200.0) == [
        "[0/3] under way: input 0.5, seed 1, epoch 0.5/3; 1 more, epochs 0; about 5 min left"
    ]
    assert said(259.0) == []


def test_what_is_under_way_lies_in_the_store(tmp_path: Path) -> None:
    """While a run lasts `progress.json` has it; at its end, however it comes, the file is gone."""
    console = Console(file=io.StringIO())
    progress = Progress(console, board(), tmp_path)
    for event in (STORY[0], Progressed({KEYS[0]: 2}, 0.25)):
        progress.show(event)

    def stopped() -> None:
        with progress.shown():
            progress.keep()
            found.update(json.loads((tmp_path / "progress.json").read_text()))
            raise KeyboardInterrupt

    found: dict[str, Any] = {}
    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []
    assert found.keys() == {"written", "done", "total", "elapsed", "left", "trials"}
    assert (found["done"], found["total"], found["left"]) == (0, 3, None)
    assert found["trials"] == [
        {
            "key": KEYS[0],
            "name": "input 0.5, seed 1",
            "epoch": 1.25,
            "epochs": 3,
            "left": None,
            "compiling": None,
        }
    ]


def test_a_folder_that_refuses_ends_no_run(tmp_path: Path) -> None:
    """What is under way is a courtesy: where it cannot be written the run goes on."""
    (tmp_path / "file").write_text("")
    progress = Progress(Console(file=io.StringIO()), board(), tmp_path / "file")
    with progress.shown():
        progress.keep()
