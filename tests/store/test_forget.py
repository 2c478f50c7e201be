"""Forgetting: points go with the trials that only they name, whole, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ablate.cli import main
from ablate.errors import UnknownName
from ablate.store import Store
from ablate.store.about import About
from ablate.store.forget import check_study, find_ended_badly, find_points, forget
from ablate.store.studies import shipped_folder

POINTS = {
    "none": ("none", "{}"),
    "single .25": ("single", '{"rate": 0.25}'),
    "single .5": ("single", '{"rate": 0.5}'),
    "twin": ("twin", "{}"),
}
# A twin is another name of single .5.
KEYS = {"none": "n", "single .25": "q", "single .5": "h", "twin": "h"}
STATUS = {"n": "ok", "q": "diverged", "h": "ok"}


def make(results: Path) -> Store:
    """Four points at two seeds, two of them one placement; one diverged, one failed."""
    store = Store.of(results, "mine", "quick")
    shared = dict.fromkeys(("precision", "corpus", "corpus_digest", "net", "recipe"), "x")
    cells = []
    for seed in (1, 2):
        for position, (label, (strategy, arguments)) in enumerate(POINTS.items()):
            own = {"key": f"{KEYS[label]}{seed}", "seed": seed} | shared
            name = {"strategy": strategy, "arguments": arguments, "label": label}
            cells.append(own | name | {"position": position, "baseline": label == "none"})
        for key, status in STATUS.items():
            row = {"key": f"{key}{seed}", "seed": seed, "pair_key": "p", "placement": "none"}
            row |= {"attempt": 1, "semantics": 1, "ablate_version": "0"} | shared
            if (key, seed) == ("n", 2):
                store.write_failure(row | {"status": "failed", "error": "out of memory"})
            else:
                tokens = {"valid": np.float32([-1.0, -2.0])}
                store.write(row | {"status": status}, [{"epoch": 1}], tokens)
    store.write_cells(cells)
    store.work("n2").mkdir(parents=True)
    (store.work("n2") / "checkpoint.pt").write_bytes(b"half")
    (store.folder / "queue.sqlite3").write_bytes(b"of all of them")
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store of `make`."""
    return make(tmp_path)


def _labels(store: Store) -> set[str]:
    return set(store.cells().column("label").to_pylist())


def _trials(store: Store) -> list[str]:
    return store.trials().column("key").to_pylist()


@pytest.mark.parametrize(
    ("words", "labels", "trials"),
    [
        pytest.param(["single .25"], ["none", "single .5", "twin"], "h1 h2 n1 n2", id="label"),
        pytest.param(["single"], ["none", "twin"], "h1 h2 n1 n2", id="strategy-and-a-twin"),
        pytest.param(
            ["single .25 (rate=0.25)"], ["none", "single .5", "twin"], "h1 h2 n1 n2", id="spelled"
        ),
        pytest.param(["single", "twin"], ["none"], "n1 n2", id="both-names-of-a-trial"),
        pytest.param(["none"], ["single .25", "single .5", "twin"], "h1 h2 q1 q2", id="begun"),
        pytest.param(["none", "single", "twin"], [], "", id="everything"),
    ],
)
def test_points_go_with_the_trials_that_only_they_name(
    store: Store, words: list[str], labels: list[str], trials: str
) -> None:
    """At every seed, of every attempt, in every table; what another name has stays."""
    forget(store, find_points(store, words))

    assert _labels(store) == set(labels)
    assert _trials(store) == trials.split()
    ended = [key for key in trials.split() if key != "n2"]
    assert store.epochs().column("key").to_pylist() == ended
    assert sorted(path.name for path in (store.folder / "tokens").iterdir()) == [
        f"{key}-1.parquet" for key in ended
    ]
    assert store.checkpointed() == (("n2",) if "n2" in trials else ())
    assert not (store.folder / "queue.sqlite3").exists()
    store.check()
    assert store.sweep() == ()


def test_earlier_versions_of_a_point_go_with_it(store: Store) -> None:
    """Names that were set aside are found by the same word."""
    rows = [row for row in store.cells().to_pylist() if row["label"] == "single .25"]
    store.write_cells([], earlier=rows)
    assert store.earlier().num_rows == 2
    forget(store, find_points(store, ["single .25"]))
    assert store.earlier().num_rows == 0
    assert _trials(store) == ["h1", "h2", "n1", "n2"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        pytest.param([], ["h1", "h2", "n1"], id="all"),
        pytest.param(["single"], ["h1", "h2", "n1", "n2"], id="of-a-strategy"),
        pytest.param(["none"], ["h1", "h2", "n1", "q1", "q2"], id="failed"),
        pytest.param(["twin"], ["h1", "h2", "n1", "n2", "q1", "q2"], id="none"),
    ],
)
def test_what_ended_badly_goes_and_keeps_its_names(
    store: Store, words: list[str], left: list[str]
) -> None:
    """Diverged and failed trials are to be trained again; the others are left alone."""
    found = find_ended_badly(store, words)
    assert found.empty == (len(left) == 6)
    forget(store, found)
    assert _trials(store) == left
    assert _labels(store) == set(POINTS)


@pytest.mark.parametrize("find", [find_points, find_ended_badly])
def test_an_unknown_word_is_refused(store: Store, find: Any, refused: Any) -> None:
    """By what is near it and what there is; nothing else that was named goes either."""
    with refused(UnknownName, given="singel"):
        find(store, ["none", "singel"])


# Killed just before its n-th call that changes what is on the disk.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from ablate.store import Store
from ablate.store.forget import find_ended_badly, find_points, forget

left = int(sys.argv[2])

def count(call):
    def counted(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return call(*args, **kwargs)
    return counted

store = Store.of(Path(sys.argv[1]), "mine", "quick")
found = find_points(store, sys.argv[3:]) if sys.argv[3:] else find_ended_badly(store)
for module, name in ((os, "unlink"), (os, "fsync"), (os, "replace"), (shutil, "rmtree")):
    setattr(module, name, count(getattr(module, name)))
forget(store, found)
"""


def _killed_at(folder: Path, points: Iterable[int], words: list[str]) -> dict[int, Store]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = {}
    for point in points:
        results = folder / str(point)
        command = [sys.executable, "-c", KILLED, str(results), str(point), *words]
        started[point] = make(results), subprocess.Popen(command, env=environment)
    for point, (_, process) in started.items():
        assert process.wait(timeout=300) == (0 if point == 99 else -signal.SIGKILL)
    return {point: store for point, (store, _) in started.items()}


def test_killed_at_any_point_it_leaves_whole_attempts(tmp_path: Path) -> None:
    """Others are untouched, no row stands without its tokens, and the same words end it."""
    words = ["single .25", "none"]
    for point, store in _killed_at(tmp_path, (0, 1, 3, 5, 8, 10, 12, 15, 99), words).items():
        store.check()
        committed = store.committed()
        assert {"h1", "h2"} <= committed.keys(), point
        assert store.tokens().num_rows == 2 * len(committed)
        assert _labels(store) >= {"single .5", "twin"}
        if point != 99:
            # The names go last: what is left of the rest is found by them.
            forget(store, find_points(store, words))
        assert _labels(store) == {"single .5", "twin"}
        assert _trials(store) == ["h1", "h2"]
        assert store.sweep() == ()
        assert store.checkpointed() == ()


def test_killed_while_it_forgets_what_diverged(tmp_path: Path) -> None:
    """A run goes on from there: what is left of an attempt without its row is swept."""
    for store in _killed_at(tmp_path, (0, 2, 4, 6, 99), []).values():
        store.check()
        store.sweep()
        forget(store, find_ended_badly(store))
        assert _trials(store) == ["h1", "h2", "n1"]
        assert _labels(store) == set(POINTS)
        tokens = sorted(path.name for path in (store.folder / "tokens").iterdir())
        assert tokens == ["h1-1.parquet", "h2-1.parquet", "n1-1.parquet"]


def _run(store: Store, *words: str, **more: Any) -> tuple[int, str]:
    command = ["forget", "--study", "mine", "--results", str(store.folder.parent.parent), *words]
    done = CliRunner().invoke(main, command, **more)
    return done.exit_code, done.output


def test_the_command_says_what_goes_and_what_comes_again(store: Store) -> None:
    """Points, seeds and trials; what another name keeps; what the study file still asks for."""
    rows = store.cells().to_pylist()
    store.write_cells([row | {"asked": row["strategy"] != "single"} for row in rows])
    code, said = _run(store, "single", "--yes")
    assert code == 0
    assert "  single .25 (seed 1, 2): 2 trials\n" in said
    assert "  single .5 (seed 1, 2): 0 trials; 2 trials that another name has stay\n" in said
    assert "deleted for good: 2 trials, with curves, tokens and checkpoints, and 2 points\n" in said
    assert "the study file asks" not in said
    assert _labels(store) == {"none", "twin"}

    code, said = _run(store, "none", "--yes")
    assert "the study file asks for 2 of these trials" in said
    assert "`ablate run --study mine --profile quick --results " in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        pytest.param(["none"], 2, "add --yes", id="nobody-to-ask"),
        pytest.param([], 2, "labels or strategies, or --diverged", id="nothing-named"),
        pytest.param(["nnoe", "--yes"], 2, "did you mean 'none'", id="unknown"),
        pytest.param(["none", "--yes", "--profile", "q"], 2, "no results of profile 'q'", id="q"),
        pytest.param(["--diverged", "twin"], 0, "there is nothing to forget", id="none-diverged"),
    ],
)
def test_the_command_deletes_nothing_unasked(
    store: Store, words: list[str], code: int, says: str
) -> None:
    """One sentence, and everything is where it was."""
    done = _run(store, *words)
    assert done[0] == code
    assert says in done[1]
    assert _labels(store) == set(POINTS)
    assert len(_trials(store)) == 6


@pytest.mark.parametrize(("answer", "left"), [("y", 4), ("n", 6), ("", 6)])
def test_the_command_asks_on_a_terminal(
    store: Store, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    """Only a yes deletes."""
    monkeypatch.setattr("ablate.command_line.stores._asks", lambda: True)
    code, said = _run(store, "single .25", input=f"{answer}\n")
    assert "Delete them?" in said
    assert code == (0 if answer == "y" else 1)
    assert len(_trials(store)) == left


def test_the_command_waits_for_no_run_and_takes_no_other_file(store: Store, tmp_path: Path) -> None:
    """A run that writes the store is named, and so is the study file that filled it."""
    with store.lock():
        code, said = _run(store, "none", "--yes")
    assert (code, "another `ablate run` is writing" in said) == (2, True)
    files = []
    for folder in ("a", "b"):
        files.append(tmp_path / folder / "mine.toml")
        files[-1].parent.mkdir()
        files[-1].write_text(folder)
    store.claim(About.of(files[0], "Where?"))
    code, said = _run(store, "none", "--yes", "--study", str(files[1]))
    assert (code, "is another file of that name" in said) == (2, True)
    assert len(_trials(store)) == 6


def test_the_shipped_file_is_that_of_another_installation(store: Store) -> None:
    """As for `ablate run` and `ablate report`: an update of ablate changes path and bytes."""
    earlier = "/usr/lib/python3.9/site-packages/ablate/shipped/smoke.toml"
    store.write_about(About("Where?", earlier, digest="0" * 64, shipped=True))
    check_study(store, str(shipped_folder() / "smoke.toml"))
