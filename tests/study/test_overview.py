"""What `ablate status` shows: a table and lines, JSON, and both again while something runs."""

import io
import json
import os
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_training import Fake
from matrix import entries, fill, new_store
from rich.console import Console

from ablate.store import Store, overview
from ablate.store.listing import Counts, count_trials
from ablate.store.under_way import read_progress, write_progress
from ablate.study.entries import name_rows

WRITTEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRIAL = {
    "key": "k1", "name": "input 0.5, seed 2", "epoch": 3.47, "epochs": 8, "left": 90.0,
    "compiling": None,
}  # fmt: skip
UNDER_WAY: dict[str, Any] = {
    "done": 1, "total": 3, "elapsed": 30.0, "left": 100.0, "trials": [TRIAL],
}  # fmt: skip
COUNTS = Counts(
    "study", "quick", {"ok": 1, "diverged": 0, "failed": 0}, 2, 1, (Path("bad/a"),), "1 damaged"
)
RUNS = replace(COUNTS, holder="process 7 on here", under_way={"written": "then", **UNDER_WAY})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One trial of three is done."""
    store = new_store(tmp_path)
    fill(store, entries((1,)), Fake())
    store.write_cells(name_rows(entries((1, 2, 3))))
    return store


def test_what_is_under_way_counts_while_the_store_is_held(store: Store) -> None:
    """A file that a killed run left behind is passed over, with the word of its lock's holder."""
    write_progress(store.folder, UNDER_WAY)
    assert count_trials(store).holder is None
    with store.lock():
        counts = count_trials(store)
        assert counts.holder == f"process {os.getpid()} on {socket.gethostname()}"
        assert counts.under_way is not None
        assert counts.under_way["trials"][0]["name"] == "input 0.5, seed 2"
    (store.folder / ".lock-holder").write_text("process 7 on a machine that lost power")
    assert (count_trials(store).holder, count_trials(store).under_way) == (None, None)


def test_looking_never_takes_the_lock_from_a_run(store: Store) -> None:
    """A lock that is held for a moment is waited for: a look refuses no run."""
    from threading import Timer

    looking = store.lock()
    looking.__enter__()
    Timer(0.1, lambda: looking.__exit__(None, None, None)).start()
    with store.lock():
        pass


def test_seconds_are_brought_up_to_now(tmp_path: Path) -> None:
    """What was left when the file was written is less by its age, and never below zero."""
    write_progress(tmp_path, UNDER_WAY, WRITTEN)
    found = read_progress(tmp_path, WRITTEN + timedelta(seconds=95))
    assert found == {
        "written": "2026-01-02T03:04:05.000+00:00",
        **UNDER_WAY,
        "elapsed": 125.0,
        "left": 5.0,
        "trials": [TRIAL | {"left": 0.0}],
    }
    # A clock that was set back makes nothing longer.
    assert read_progress(tmp_path, WRITTEN - timedelta(hours=1)) == found | UNDER_WAY


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"written": "never", "trials": []}'])
def test_what_cannot_be_read_is_nothing(tmp_path: Path, text: str) -> None:
    """A file of another version, or a damaged one, ends no `status`."""
    (tmp_path / "progress.json").write_text(text)
    assert read_progress(tmp_path) is None


def test_json_has_all_of_it() -> None:
    """One line, whose keys the README of the store documents."""
    line = overview.as_json([RUNS, COUNTS])
    assert "\n" not in line
    runs, rests = json.loads(line)["stores"]
    assert runs == {
        "study": "study",
        "profile": "quick",
        "trials": {"ok": 1, "diverged": 0, "failed": 0, "missing": 2, "begun": 1, "total": 3},
        "set_aside": ["bad/a"],
        "damage": "1 damaged",
        "unnamed": None,
        "running": True,
        "holder": "process 7 on here",
        "under_way": {"written": "then", **UNDER_WAY},
    }
    assert rests == runs | {"running": False, "holder": None, "under_way": None}
    readme = (Path(overview.__file__).parent / "README.md").read_text()
    for key in (*runs, "written", *UNDER_WAY, *TRIAL, *runs["trials"]):
        assert f"`{key}`" in readme, key


def test_the_table_and_its_lines() -> None:
    """A row a store; below it what runs, each trial with its epoch and the time left."""
    more = [TRIAL | {"name": f"none, seed {seed}", "left": None} for seed in range(11)]
    compiles = TRIAL | {"compiling": "the softmax"}
    many = replace(RUNS, under_way={**UNDER_WAY, "trials": [compiles, *more]})
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(overview.table([many]))
    heading, row = console.export_text().splitlines()
    assert heading.split() == ["study", "profile", *COUNTS.ended, "missing", "begun", "all"]
    assert row.split() == ["study", "quick", "1", "0", "0", "2", "1", "3"]
    said = list(overview.lines([many]))
    assert said[:3] == [
        "study quick: 1/3 trials, 30 s, about 100 s left, process 7 on here",
        "  input 0.5, seed 2: epoch 3.4/8, about 90 s left, compiling the softmax",
        "  none, seed 0: epoch 3.4/8",
    ]
    assert said[11:] == ["  and 2 more", "damaged, set aside: bad/a", "1 damaged"]
    assert next(overview.lines([replace(RUNS, under_way=None)])) == (
        "study quick: held by process 7 on here"
    )


def _looks(found: list[Counts], took: float, every: float | None) -> tuple[int, list[float]]:
    """How often was looked, where a look takes so long, and how long was waited between."""
    slept: list[float] = []
    now = [0.0]
    left = iter(found)

    def look() -> list[Counts]:
        now[0] += took
        return [COUNTS, next(left)]

    return len(list(overview.looks(look, every, lambda: now[0], slept.append))), slept


def test_a_watch_ends_when_nothing_runs() -> None:
    """The last look is the first at which no store is held; without a watch there is one."""
    assert _looks([RUNS, RUNS, COUNTS, RUNS], 0.0, 5.0) == (3, [5.0, 5.0])
    assert _looks([RUNS, RUNS], 0.0, None) == (1, [])


def test_a_watch_takes_a_tenth_of_a_core() -> None:
    """Where a look takes long, it is rarer than was asked for."""
    assert _looks([RUNS, COUNTS], 2.0, 5.0) == (2, [18.0])


@pytest.mark.parametrize("terminal", [False, True])
def test_a_watch_shows_each_look(terminal: bool) -> None:
    """In blocks one below the other, or in one place, where the last one stays."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
    overview.show(console, iter([[RUNS], [COUNTS]]))
    blocks = out.getvalue().split("study  profile")[1:]
    # On a terminal the last look is drawn again as the live display ends, and printed to stay.
    assert len(blocks) == (4 if terminal else 2)
    assert "input 0.5, seed 2: epoch 3.4/8" in blocks[0]
    assert "epoch" not in blocks[-1]


def test_a_watch_that_is_interrupted_leaves_what_it_saw() -> None:
    """Ctrl-C goes through; on a terminal the last look stays on the screen."""

    def found() -> Any:
        yield [RUNS]
        raise KeyboardInterrupt

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with pytest.raises(KeyboardInterrupt):
        overview.show(console, found())
    assert "process 7 on here\n" in out.getvalue().split("study  profile")[-1]
