"""Optuna's queue: order, endings, what a killed run left behind, and being built again."""

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from fake_training import Fake
from matrix import entries, fill, new_store
from optuna.trial import FrozenTrial, TrialState

from ablate.store import Row
from ablate.study import mirror
from ablate.study.cohorts import Cohorts
from ablate.study.entries import Entry
from ablate.study.events import Assignment, Slot
from ablate.study.mirror import STUDY_NAME
from ablate.study.queue import FILE, Queue


def trials(folder: Path) -> list[FrozenTrial]:
    """What Optuna's file says, read as any user would read it."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / FILE}")
    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


def row(entry: Entry, **changes: object) -> Row:
    """A committed row of this trial."""
    ended = {"key": entry.trial.key, "seed": entry.trial.seed, "status": "ok"}
    return ended | {"headline": "last", "valid_nll_last": 4.5} | changes


CURVE = [{"epoch": 1, "valid_nll": 5.5}, {"epoch": 2, "valid_nll": 4.5}]


def test_cells_come_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    """The queue keeps the order of the matrix and ends with it."""
    wanted = entries((1, 2), (0.5, 0.25))
    with Queue(tmp_path) as queue:
        for entry in wanted:
            queue.put([entry])
        assert [queue.pop() for _ in range(5)] == [*((entry,) for entry in wanted), ()]


def test_cells_that_train_together_come_together(tmp_path: Path) -> None:
    """Each runs in Optuna under its own parameters, from the moment at which its cohort begins."""
    first, second, third, fourth = entries((1, 2), (0.5, 0.25))
    with Queue(tmp_path) as queue:
        queue.put([first, second])
        queue.put([third, fourth])
        assert queue.pop() == (first, second)
        queue.finish(row(second), CURVE)

    states = {(t.user_attrs["label"], t.user_attrs["seed"]): t.state for t in trials(tmp_path)}
    assert states == {
        ("input 0.5", 1): TrialState.RUNNING,
        ("input 0.25", 1): TrialState.COMPLETE,
        ("input 0.5", 2): TrialState.WAITING,
        ("input 0.25", 2): TrialState.WAITING,
    }
    (ended,) = (trial for trial in trials(tmp_path) if trial.value is not None)
    assert ended.params["input.rate"] == 0.25


def test_a_finished_trial_in_optuna(tmp_path: Path) -> None:
    """Optuna knows its rates, names, curve, and the valid nll at the headline epoch."""
    (entry,) = entries([7], [0.25])
    with Queue(tmp_path) as queue:
        queue.put([entry])
        queue.pop()
        queue.finish(row(entry, headline="best", valid_nll_best=4.25), CURVE)

    (trial,) = trials(tmp_path)
    assert trial.state is TrialState.COMPLETE
    assert trial.value == 4.25
    assert trial.params["input.rate"] == 0.25
    assert trial.params["recurrent.rate"] == 0.0
    assert trial.intermediate_values == {1: 5.5, 2: 4.5}
    assert trial.user_attrs == {
        "key": entry.trial.key,
        "label": "input 0.25",
        "seed": 7,
        "status": "ok",
    }


@pytest.mark.parametrize(
    "ending",
    [
        {"status": "diverged", "valid_nll_last": None},
        {"status": "diverged", "valid_nll_last": 9.0},
        {"valid_nll_last": math.nan},
    ],
    ids=["diverged", "diverged-with-a-number", "nan"],
)
def test_a_trial_without_a_usable_number_fails_there(tmp_path: Path, ending: Row) -> None:
    """Optuna's own minimum and importance never see a trial that diverged."""
    (entry,) = entries([1])
    with Queue(tmp_path) as queue:
        queue.put([entry])
        queue.pop()
        queue.finish(row(entry, **ending), CURVE)
        assert queue.ended() == {entry.trial.key}

    (trial,) = trials(tmp_path)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["status"] == row(entry, **ending)["status"]


def test_a_failed_cell_may_be_put_again(tmp_path: Path) -> None:
    """A failure is kept with its reason, and does not count as an end."""
    (entry,) = entries([1])
    with Queue(tmp_path) as queue:
        queue.put([entry])
        queue.pop()
        queue.fail(entry.trial.key, "its worker died (SIGKILL)")
        assert queue.ended() == frozenset()
        queue.put([entry])
        assert queue.pop() == (entry,)

    failed, again = trials(tmp_path)
    assert failed.state is TrialState.FAIL
    assert failed.user_attrs["reason"] == "its worker died (SIGKILL)"
    assert again.state is TrialState.RUNNING


def test_what_a_killed_run_left_is_closed(tmp_path: Path) -> None:
    """Trials that ran or waited when their driver died are closed with a reason and put anew."""
    first, second = entries((1, 2))
    with Queue(tmp_path) as queue:
        queue.put([first])
        queue.put([second])
        queue.pop()
    with Queue(tmp_path) as queue:
        queue.put([second])
        assert queue.pop() == (second,)
        assert queue.pop() == ()

    *left, current = trials(tmp_path)
    assert [trial.state for trial in left] == [TrialState.FAIL] * 2
    assert {trial.user_attrs["reason"] for trial in left} == {"its run stopped before it ended"}
    assert current.state is TrialState.RUNNING


def _facts(folder: Path) -> list[tuple[object, ...]]:
    return sorted(
        (t.user_attrs["key"], t.value, t.params, t.user_attrs, t.intermediate_values)
        for t in trials(folder)
    )


@pytest.mark.parametrize("damage", [None, b"no database at all, " * 100], ids=["gone", "damaged"])
def test_it_is_built_again_from_the_store(tmp_path: Path, damage: bytes | None) -> None:
    """Without its file, or with a broken one, the next run tells Optuna what the store holds."""
    store, wanted = new_store(tmp_path), entries((1, 2), (0.5, 0.25))
    fill(store, wanted)
    before = _facts(store.folder)
    (store.folder / FILE).unlink()
    if damage:
        (store.folder / FILE).write_bytes(damage)

    summary, lines = fill(store, wanted)

    assert summary.trained == 0
    assert len(before) == 4
    assert _facts(store.folder) == before
    if damage:
        assert "was damaged" in lines[0]
        assert "built again from the store" in lines[0]
        assert (store.folder / "bad" / FILE).read_bytes() == damage


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the queue as another program does that writes it."""
    with contextlib.closing(sqlite3.connect(folder / FILE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits seconds for a lock."""
    monkeypatch.setattr(mirror, "PATIENCE", 0.05)


def whole(found: tuple[Any, list[str]], store: Any, wanted: list[Entry], reason: str) -> None:
    """All trials are committed, and one note says that the run went on without the queue."""
    summary, lines = found
    assert summary.failures == ()
    assert store.committed().keys() >= {entry.trial.key for entry in wanted}
    (note,) = (line for line in lines if "Optuna's queue" in line)
    assert f"{store.folder / FILE} cannot be used ({reason})" in note
    assert "goes on without it" in note
    assert "damaged" not in note
    assert not (store.folder / "bad").exists()


@pytest.mark.usefixtures("impatient")
def test_a_locked_queue_is_gone_without(tmp_path: Path) -> None:
    """A healthy one that another program holds is neither damaged nor moved, and ends no run."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    fill(store, wanted[:1])
    with lock(store.folder):
        whole(fill(store, wanted), store, wanted, "database is locked")

    assert fill(store, wanted)[1] == []
    assert {t.user_attrs["status"] for t in trials(store.folder)} == {"ok"}
    assert len(trials(store.folder)) == 2


def test_a_lock_that_is_let_go_is_waited_for(tmp_path: Path) -> None:
    """Another program that writes for a moment costs that moment."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    fill(store, wanted[:1])
    held = threading.Event()

    def hold() -> None:
        with lock(store.folder):
            held.set()
            time.sleep(0.3)

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    _, lines = fill(store, wanted)
    other.join()
    assert not any("queue" in line for line in lines)
    assert len(trials(store.folder)) == 2


PRAGMAS = [
    pytest.param("PRAGMA query_only = ON", "attempt to write a readonly database", id="read-only"),
    pytest.param("PRAGMA max_page_count = 1", "database or disk is full", id="full"),
]


@pytest.mark.parametrize(("pragma", "reason"), PRAGMAS)
@pytest.mark.parametrize("before", [0, 1], ids=["new", "known"])
def test_a_queue_that_takes_nothing_is_gone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pragma: str, reason: str, before: int
) -> None:
    """A full disk and a missing right leave the file as it is, and every result is stored."""
    # So many that they do not fit into the pages that are there.
    store, wanted = new_store(tmp_path), entries(range(12))
    if before:
        fill(store, wanted[:before])
    connect = sqlite3.connect

    def hindered(*given: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*given, **options)
        connection.execute(pragma)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", hindered)
        found = fill(store, wanted)
    whole(found, store, wanted, reason)
    assert fill(store, wanted)[1] == []
    assert len({trial.user_attrs["key"] for trial in trials(store.folder)}) == 12


def test_a_queue_that_cannot_be_opened_is_gone_without(tmp_path: Path) -> None:
    """What cannot even be opened may be whole: nothing is moved."""
    store, wanted = new_store(tmp_path), entries((1, 2))
    (store.folder / FILE).mkdir(parents=True)
    whole(fill(store, wanted), store, wanted, "unable to open database file")
    assert (store.folder / FILE).is_dir()


def _delete(folder: Path) -> None:
    (folder / FILE).unlink()


def _lock(folder: Path) -> None:
    other = sqlite3.connect(folder / FILE)
    other.execute("BEGIN EXCLUSIVE")
    HELD.append(other)


def _break(folder: Path) -> None:
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(b"broken" * (len(content) // 6))


HELD: list[sqlite3.Connection] = []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        pytest.param(_delete, "attempt to write a readonly database", id="deleted"),
        pytest.param(_lock, "database is locked", id="locked"),
        pytest.param(_break, "file is not a database", id="broken"),
    ],
)
def test_a_queue_that_fails_in_the_middle_is_gone_without(
    tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    """Whatever befalls it while trials run, they all end, those that fail at first included."""
    store, wanted = new_store(tmp_path), entries((1, 2, 3))
    harmed: list[bool] = []

    class Harming(Fake):
        def __call__(
            self, assignments: Sequence[Assignment], slot: Slot, emit: Callable[..., None]
        ) -> None:
            if not harmed:
                harmed.append(True)
                harm(store.folder)
            super().__call__(assignments, slot, emit)

    found = fill(store, wanted, Harming(raises_crowded=(2,)), cohort=3)
    while HELD:
        HELD.pop().close()
    whole(found, store, wanted, reason)
    summary, lines = fill(store, wanted)
    assert summary.trained == 0
    assert any("was damaged" in line for line in lines) == (harm is _break)
    ended = [t.user_attrs["key"] for t in trials(store.folder) if t.user_attrs["status"] == "ok"]
    assert sorted(ended) == sorted(entry.trial.key for entry in wanted)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=name.encode("unicode_escape").decode())
        for name in ("a%20b", "a?b#c", "exp:1", "{x}", "a b", os.fsdecode(b"caf\xe9"))
    ],
)
def test_a_folder_of_any_name_has_its_queue(tmp_path: Path, name: str) -> None:
    """It is opened by its path: nothing in it is read as a part of a URL."""
    folder = tmp_path / name
    folder.mkdir()
    (entry,) = entries([1])
    with Queue(folder) as queue:
        queue.learn(row(entry), CURVE, entry)
        assert queue.notes == []
    assert (folder / FILE).stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Queue(folder) as queue:
        assert queue.ended() == {entry.trial.key}


def test_a_large_matrix_costs_little(tmp_path: Path) -> None:
    """Of 10,000 trials a tenth forms cohorts, is enqueued and ended, in less than 6 s of CPU."""
    wanted = entries(range(100), [number / 20 for number in range(1, 11)])
    began = time.process_time()
    with Queue(tmp_path) as queue:
        for cohort in Cohorts(pinned=4).formed(wanted, slots=1):
            queue.put(cohort)
        while popped := queue.pop():
            for entry in popped:
                queue.finish(row(entry), CURVE)
        assert queue.ended() == {entry.trial.key for entry in wanted}
    assert time.process_time() - began < 6
    assert {trial.state for trial in trials(tmp_path)} == {TrialState.COMPLETE}


def test_a_store_from_elsewhere_is_learnt(tmp_path: Path) -> None:
    """Trials that Optuna never saw, of trials that this run does not name, join by key and seed."""
    store = new_store(tmp_path)
    fill(store, entries([1]))
    (store.folder / FILE).unlink()
    fill(store, entries([2]))

    known = {trial.user_attrs["seed"]: trial for trial in trials(store.folder)}
    assert known.keys() == {1, 2}
    assert known[1].params == {}
    assert known[1].value == store.committed()[known[1].user_attrs["key"]]["valid_nll_last"]


def test_optunas_own_talk_is_restored(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is silent while the queue is opened, and as loud as before afterwards."""
    optuna.logging.set_verbosity(optuna.logging.INFO)
    with Queue(tmp_path):
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr().err == ""
