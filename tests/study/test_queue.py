"""Optuna's queue: order, endings, what a killed run left behind, and being built again."""

import math
from pathlib import Path

import optuna
import pytest
from matrix import entries, fill, new_store
from optuna.trial import FrozenTrial, TrialState

from ablate.errors import AblateError
from ablate.store import Row
from ablate.study.cells import Entry
from ablate.study.queue import FILE, STUDY_NAME, Queue


def trials(folder: Path) -> list[FrozenTrial]:
    """What Optuna's file says, read as any user would read it."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / FILE}")
    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


def row(entry: Entry, **changes: object) -> Row:
    """A committed row of this cell."""
    ended = {"key": entry.cell.key, "seed": entry.cell.seed, "status": "ok"}
    return ended | {"headline": "last", "valid_nll_last": 4.5} | changes


CURVE = [{"epoch": 1, "valid_nll": 5.5}, {"epoch": 2, "valid_nll": 4.5}]


def test_cells_come_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    """The queue keeps the order of the matrix and ends with it."""
    wanted = entries((1, 2), (0.5, 0.25))
    with Queue(tmp_path) as queue:
        for entry in wanted:
            queue.put(entry)
        assert [queue.pop() for _ in range(5)] == [*wanted, None]


def test_a_wanted_cell_goes_before_others(tmp_path: Path) -> None:
    """It runs in Optuna under its own parameters; who was passed over keeps its place."""
    wanted = entries((1, 2), (0.5, 0.25))
    with Queue(tmp_path) as queue:
        for entry in wanted:
            queue.put(entry)
        quarter = queue.pop(lambda entry: entry.label == "input 0.25")
        assert quarter == wanted[1]
        assert queue.pop(lambda entry: entry.label == "input 0.75") is None
        assert queue.waiting() == tuple(wanted[at].cell.key for at in (0, 2, 3))
        assert queue.pop() == wanted[0]
        queue.finish(row(wanted[1]), CURVE)

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
        queue.put(entry)
        queue.pop()
        queue.finish(row(entry, headline="best", valid_nll_best=4.25), CURVE)

    (trial,) = trials(tmp_path)
    assert trial.state is TrialState.COMPLETE
    assert trial.value == 4.25
    assert trial.params["input.rate"] == 0.25
    assert trial.params["recurrent.rate"] == 0.0
    assert trial.intermediate_values == {1: 5.5, 2: 4.5}
    assert trial.user_attrs == {
        "key": entry.cell.key,
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
        queue.put(entry)
        queue.pop()
        queue.finish(row(entry, **ending), CURVE)
        assert queue.ended() == {entry.cell.key}

    (trial,) = trials(tmp_path)
    assert trial.state is TrialState.FAIL
    assert trial.user_attrs["status"] == row(entry, **ending)["status"]


def test_a_failed_cell_may_be_put_again(tmp_path: Path) -> None:
    """A failure is kept with its reason, and does not count as an end."""
    (entry,) = entries([1])
    with Queue(tmp_path) as queue:
        queue.put(entry)
        queue.pop()
        queue.fail(entry.cell.key, "its worker died (SIGKILL)")
        assert queue.ended() == frozenset()
        queue.put(entry)
        assert queue.pop() == entry

    failed, again = trials(tmp_path)
    assert failed.state is TrialState.FAIL
    assert failed.user_attrs["reason"] == "its worker died (SIGKILL)"
    assert again.state is TrialState.RUNNING


def test_what_a_killed_run_left_is_closed(tmp_path: Path) -> None:
    """Trials that ran or waited when their driver died are closed with a reason and put anew."""
    first, second = entries((1, 2))
    with Queue(tmp_path) as queue:
        queue.put(first)
        queue.put(second)
        queue.pop()
    with Queue(tmp_path) as queue:
        queue.put(second)
        assert queue.pop() == second
        assert queue.pop() is None

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


def test_a_queue_out_of_reach_is_not_touched(tmp_path: Path) -> None:
    """What cannot even be opened may be whole: one sentence says so, and nothing is moved."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(AblateError, match=r"cannot be opened \(.*unable to open database file"):
        Queue(tmp_path).__enter__()
    assert (tmp_path / FILE).is_dir()


def test_a_store_from_elsewhere_is_learnt(tmp_path: Path) -> None:
    """Trials that Optuna never saw, of cells that this run does not name, join by key and seed."""
    store = new_store(tmp_path)
    fill(store, entries([1]))
    (store.folder / FILE).unlink()
    fill(store, entries([2]))

    known = {trial.user_attrs["seed"]: trial for trial in trials(store.folder)}
    assert known.keys() == {1, 2}
    assert known[1].params == {}
    assert known[1].value == store.committed()[known[1].user_attrs["key"]]["valid_nll_last"]


def test_optunas_own_talk_is_restored(tmp_path: Path) -> None:
    """It is silent while the queue is open, and as loud as before afterwards."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with Queue(tmp_path):
        assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    optuna.logging.set_verbosity(optuna.logging.INFO)
