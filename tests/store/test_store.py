"""The store: what is written comes back, whole, typed and by attempt."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from earlier_stores import make_first_version
from rows import name_row, trial_row

from ablate.errors import AblateError
from ablate.files import write_whole
from ablate.store import Store, files
from ablate.store.listing import list_results
from ablate.store.schema import CELLS, TRIALS, table_of

EPOCHS = [{"epoch": 1, "valid_nll": 5.0}, {"epoch": 2, "valid_nll": 4.25}]
TOKENS = {"valid": np.float32([-1.5, -2.5, -0.25]), "test": np.float32([-4.0])}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store.of(tmp_path, "placement", "quick")


def test_an_attempt_comes_back(store: Store) -> None:
    """What an attempt wrote is read back: its row, its curve and its tokens in their order."""
    store.write(trial_row(), EPOCHS, TOKENS)

    assert store.committed()["a1"]["valid_nll_last"] == 4.25
    assert store.committed()["a1"]["test_nll_last"] is None
    curve = store.epochs().to_pylist()
    assert [(row["key"], row["epoch"], row["valid_nll"]) for row in curve] == [
        ("a1", 1, 5.0),
        ("a1", 2, 4.25),
    ]
    tokens = store.tokens().to_pylist()
    assert [(row["split"], row["position"], row["log_prob"]) for row in tokens] == [
        ("valid", 0, -1.5),
        ("valid", 1, -2.5),
        ("valid", 2, -0.25),
        ("test", 0, -4.0),
    ]


def test_tokens_of_some_keys(store: Store) -> None:
    """Only the tokens that were asked for are read."""
    store.write(trial_row("a1"), EPOCHS, TOKENS)
    store.write(trial_row("b2"), EPOCHS, TOKENS)

    assert store.tokens(["b2"]).column("key").unique().to_pylist() == ["b2"]
    assert store.tokens([]).num_rows == 0


def test_an_empty_store_has_empty_tables(store: Store) -> None:
    """Before the first run every table is there, and empty."""
    assert store.committed() == {}
    for table in (store.trials(), store.epochs(), store.tokens(), store.cells()):
        assert table.num_rows == 0
    assert store.trials().schema.equals(TRIALS)


def test_a_diverged_trial_is_committed_and_a_failed_one_is_not(store: Store) -> None:
    """Divergence is a result; a failure is a record beside the results."""
    store.write(trial_row("a1", status="diverged"), EPOCHS, {})
    store.write_failure(trial_row("b2", status="failed", error="out of memory"))

    assert list(store.committed()) == ["a1"]
    assert store.trials().column("error").to_pylist() == [None, "out of memory"]


@pytest.mark.parametrize("status", ["failed", "done"])
def test_only_an_ended_attempt_is_written_as_one(store: Store, status: str) -> None:
    """A status that is no end is refused before anything is written."""
    with pytest.raises(ValueError, match=f"got '{status}'"):
        store.write(trial_row(status=status), EPOCHS, TOKENS)
    assert not store.folder.exists()


def test_a_column_that_does_not_exist_is_refused(store: Store) -> None:
    """A misspelt column is an error, never a column that vanishes without a word."""
    with pytest.raises(ValueError, match="table 'trials' has no column valid_nl"):
        store.write(trial_row(valid_nl=4.0), EPOCHS, {})


def test_attempts_are_numbered_from_all_that_ever_was(store: Store) -> None:
    """A failed attempt and one that was set aside keep their numbers."""
    assert store.last_attempts().get("a1", 0) == 0
    store.write_failure(trial_row(status="failed"))
    assert store.last_attempts().get("a1", 0) == 1
    aside = store.folder / "bad" / "trials" / "a1-5.parquet"
    aside.parent.mkdir(parents=True)
    aside.touch()
    assert store.last_attempts().get("a1", 0) == 5
    assert store.last_attempts().get("a11", 0) == 0


def test_the_first_attempt_that_ended_counts(store: Store) -> None:
    """Two committed attempts at one key: the first is the result."""
    store.write(trial_row(attempt=2, valid_nll_last=9.0), EPOCHS, TOKENS)
    store.write(trial_row(attempt=1, valid_nll_last=4.0), EPOCHS, TOKENS)

    assert store.committed()["a1"]["valid_nll_last"] == 4.0
    assert store.epochs().column("attempt").unique().to_pylist() == [1]


def test_cells_are_a_union(store: Store) -> None:
    """A second enumeration adds its names, renews those that it repeats and removes none."""
    store.write_cells([name_row("a1"), name_row("b2", label="old")])
    store.write_cells([name_row("b2", label="new"), name_row("b2", strategy="same")])

    rows = store.cells().to_pylist()
    assert [(row["key"], row["strategy"], row["label"]) for row in rows] == [
        ("a1", "none", "none"),
        ("b2", "none", "new"),
        ("b2", "same", "none"),
    ]


def test_a_baseline_that_moved_leaves_no_second_one(store: Store) -> None:
    """In one combination the newer baseline is the only one; other combinations keep theirs."""
    store.write_cells([name_row("a1"), name_row("c3", recipe='{"epochs":3}')])
    store.write_cells(
        [name_row("a1", baseline=True), name_row("b2", strategy="other", baseline=False)]
    )
    store.write_cells([name_row("b2", strategy="other", baseline=True)])

    flags = {row["key"]: row["baseline"] for row in store.cells().to_pylist()}
    assert flags == {"a1": False, "b2": True, "c3": True}


def test_earlier_names_leave_the_cells_and_come_back(store: Store) -> None:
    """A row is in one of the two files; named again, it is a cell again."""
    store.write_cells([name_row("a1"), name_row("b2", seed=4)])
    store.write_cells([name_row("c3")], earlier=[name_row("a1")])
    assert store.cells().column("key").to_pylist() == ["b2", "c3"]
    empty = {field.name: None for field in CELLS if field.nullable}
    assert store.earlier().to_pylist() == [name_row("a1") | empty]

    store.write_cells([name_row("a1")], earlier=[name_row("c3")])
    assert store.cells().column("key").to_pylist() == ["b2", "a1"]
    assert store.earlier().column("key").to_pylist() == ["c3"]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_no_name_is_lost_between_two_files(
    store: Store, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Stopped before any write of theirs, cells and earlier names still hold every row once."""
    store.write_cells([name_row("a1")])
    store.write_cells([name_row("c3")], earlier=[name_row("a1")])
    whole, left = files.write_table, writes

    def write(table: pa.Table, path: Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        whole(table, path)

    monkeypatch.setattr("ablate.store.store.write_table", write)
    with contextlib.suppress(KeyboardInterrupt):
        store.write_cells([name_row("a1")], earlier=[name_row("c3")])
    keys = [*store.cells().column("key").to_pylist(), *store.earlier().column("key").to_pylist()]
    assert sorted(keys) == ["a1", "c3"]


def test_damaged_earlier_names_are_set_aside(store: Store) -> None:
    """They are checked as the cells are, which go on without them."""
    store.write_cells([name_row("a1")], earlier=[name_row("b2")])
    path = store.folder / "earlier.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(AblateError) as raised:
        store.earlier()
    assert raised.value.given == ("earlier.parquet",)
    assert store.whole().earlier().num_rows == 0
    store.set_damage_aside()
    assert store.earlier().num_rows == 0
    assert store.cells().column("key").to_pylist() == ["a1"]


def test_two_processes_may_write_one_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a half-written file of its own, which a sweep knows; the last to end has written."""
    path = store.folder / "cells.parquet"

    def write(file: BinaryIO) -> None:
        file.write(b"first")
        with monkeypatch.context() as patch:
            patch.setattr(os, "getpid", lambda: -1)
            write_whole(path, lambda other: other.write(b"second"))
        assert path.read_bytes() == b"second"
        assert len(list(store.folder.iterdir())) == 2

    write_whole(path, write)
    assert path.read_bytes() == b"first"
    assert list(store.folder.iterdir()) == [path]

    def killed(file: BinaryIO) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, killed)
    store.sweep()
    assert list(store.folder.iterdir()) == [path]


def test_the_same_cells_are_not_written_twice(store: Store) -> None:
    """The same command again leaves the file alone."""
    store.write_cells([name_row()])
    before = (store.folder / "cells.parquet").stat()
    store.write_cells([name_row()])
    assert (store.folder / "cells.parquet").stat().st_ino == before.st_ino


def test_any_reader_of_parquet_reads_a_table_as_one(store: Store) -> None:
    """A folder is a data set for every other tool too; half-written files are invisible to it."""
    store.write(trial_row("a1"), EPOCHS, TOKENS)
    store.write(trial_row("b2"), EPOCHS, TOKENS)
    (store.folder / "trials" / ".writing-c3-1.parquet").write_bytes(b"half")

    assert pq.read_table(store.folder / "trials").column("key").to_pylist() == ["a1", "b2"]
    assert pq.read_table(store.folder / "tokens").to_pandas()["log_prob"].sum() == -16.5


def test_results_are_listed_by_study_and_profile(tmp_path: Path) -> None:
    """Stores are found by what lies in them; other folders are not results."""
    Store.of(tmp_path, "b", "quick").write_cells([name_row()])
    Store.of(tmp_path, "a", "quick").write(trial_row(), EPOCHS, TOKENS)
    (tmp_path / "a" / "report").mkdir()

    listed = [(store.study, store.profile) for store in list_results(tmp_path)]
    assert listed == [("a", "quick"), ("b", "quick")]
    assert list_results(tmp_path / "nothing") == ()


def test_one_driver_at_a_time(store: Store) -> None:
    """A second driver is told who holds the folder; the lock goes with its holder."""
    with store.lock():
        with pytest.raises(AblateError, match=rf"process {os.getpid()} on") as held:
            store.lock().__enter__()
        assert held.value.given == store.folder
    with store.lock():
        pass


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.lock().__enter__(),
        lambda store: store.write(trial_row(), EPOCHS, TOKENS),
    ],
    ids=["lock", "write"],
)
def test_a_results_folder_that_cannot_be_written(
    tmp_path: Path, act: Callable[[Store], None], refused: Callable[..., Any]
) -> None:
    """One sentence says which folder refuses, why, and what to do."""
    (tmp_path / "results").write_text("a file stands where the folder should")
    store = Store.of(tmp_path / "results", "placement", "quick")

    with refused():
        act(store)


def test_an_older_store_is_read_with_todays_columns(store: Store) -> None:
    """A column that a file's version had not is empty; old and new rows stand in one table."""
    store.write(trial_row("a1"), EPOCHS, TOKENS)
    store.write_cells([name_row("a1")])
    make_first_version(store.folder)
    store.write(trial_row("b2", plugin="boxed 1.5"), EPOCHS, TOKENS)

    store.check()
    assert store.trials().schema.equals(TRIALS, check_metadata=True)
    assert store.trials().column("plugin").to_pylist() == [None, "boxed 1.5"]
    assert store.committed()["a1"]["valid_nll_last"] == 4.25
    assert store.tokens().num_rows == 8
    assert store.cells().column("key").to_pylist() == ["a1"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda table: table.drop_columns("cohort"), id="a-column-less"),
        pytest.param(lambda table: table.append_column("plugin", table["error"]), id="one-more"),
    ],
)
def test_an_older_file_is_held_against_its_own_columns(
    store: Store, damage: Callable[[pa.Table], pa.Table]
) -> None:
    """Being old excuses nothing: what its version did not write is damage."""
    store.write_cells([name_row("a1")])
    store.write(trial_row("a1"), EPOCHS, TOKENS)
    make_first_version(store.folder)
    (path,) = (store.folder / "trials").iterdir()
    pq.write_table(damage(pq.read_table(path)), path)

    with pytest.raises(AblateError, match="columns") as raised:
        store.trials()
    assert raised.value.given == ("trials/a1-1.parquet",)


def test_a_newer_schema_is_not_a_damaged_file(store: Store, refused: Callable[..., Any]) -> None:
    """What a newer ablate wrote is refused with its version, and stays where it is."""
    newer = CELLS.with_metadata({**CELLS.metadata, b"ablate.schema": b"99"})
    store.folder.mkdir(parents=True)
    pq.write_table(table_of([], CELLS).cast(newer), store.folder / "cells.parquet")

    with refused(given=99):
        store.cells()
    assert store.set_aside() == ()
