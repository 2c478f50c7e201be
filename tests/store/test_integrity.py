"""Damage is named and set aside; what is whole stays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ablate.errors import AblateError
from ablate.store import Store


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # The first page's data begins a few bytes after the magic number and its header.
    content[90] ^= 1
    path.write_bytes(content)


def _swap(path: Path) -> None:
    other = path.with_name(path.name.replace("a1", "b2"))
    path.write_bytes(other.read_bytes())


def _foreign(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns("key"), path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two trials and their names."""
    store = Store.of(tmp_path, "placement", "quick")
    cells = []
    for position, key in enumerate(("a1", "b2")):
        identity = {
            "key": key,
            "seed": 7,
            "precision": "fp32",
            "corpus": "toy",
            "corpus_digest": "d1",
            "net": "{}",
            "recipe": "{}",
        }
        cells.append(
            identity
            | {"strategy": "none", "arguments": key, "label": f"label of {key}"}
            | {"position": position, "baseline": False, "dial": None, "dial_value": None}
        )
        trial = identity | {"pair_key": "p", "attempt": 1, "status": "ok", "placement": "none"}
        store.write(
            trial | {"semantics": 1, "ablate_version": "0.1.0"},
            [{"epoch": 1}],
            {"valid": np.linspace(-9, -1, 100, dtype=np.float32)},
        )
    store.write_cells(cells)
    store.check()
    return store


DAMAGES = {"truncated": _truncate, "empty": _empty, "bit": _flip, "columns": _foreign}


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        *(
            pytest.param(table, damage, id=f"{table}-{name}")
            for table in ("trials", "epochs", "tokens")
            for name, damage in DAMAGES.items()
        ),
        # Without its row in trials an attempt was never committed: that is no damage.
        pytest.param("epochs", Path.unlink, id="epochs-missing"),
        pytest.param("tokens", Path.unlink, id="tokens-missing"),
    ],
)
def test_a_damaged_attempt_is_set_aside_whole(
    store: Store, table: str, damage: Callable[[Path], None]
) -> None:
    """Whatever file of an attempt is bad, the attempt goes, is named, and the other one stays."""
    damage(store.folder / table / "a1-1.parquet")

    with pytest.raises(AblateError) as raised:
        store.check()

    message = str(raised.value)
    assert f"{table}/a1-1.parquet (attempt 1 at 'label of a1', seed 7): " in message
    assert "Everything else is whole. `ablate run --study placement --profile quick" in message
    assert list(store.committed()) == ["b2"]
    assert store.epochs().column("key").to_pylist() == ["b2"]
    aside = {path.parent.name for path in store.set_aside()}
    assert aside == {"trials", "epochs", "tokens"} - ({table} if damage is Path.unlink else set())
    assert store.next_attempt("a1") == 2
    store.check()


@pytest.mark.parametrize("read", [Store.trials, Store.committed, Store.epochs, Store.tokens])
def test_no_read_skips_damage_in_silence(store: Store, read: Callable[[Store], object]) -> None:
    """Every way of reading names the file, not `check` alone."""
    _truncate(store.folder / "trials" / "a1-1.parquet")
    with pytest.raises(AblateError, match=r"trials/a1-1\.parquet"):
        read(store)


def test_another_trials_file_under_this_name(store: Store) -> None:
    """A file that holds another trial than its name promises is not believed."""
    _swap(store.folder / "trials" / "a1-1.parquet")
    with pytest.raises(AblateError, match="does not hold the one row that its name promises"):
        store.check()
    assert list(store.committed()) == ["b2"]


def test_a_stray_file_is_named(store: Store) -> None:
    """A copy that other readers would count twice is named and set aside."""
    trials = store.folder / "trials"
    (trials / "copy of a1.parquet").write_bytes((trials / "a1-1.parquet").read_bytes())
    with pytest.raises(AblateError, match=r"copy of a1\.parquet \(no trial\): its name is not"):
        store.check()
    assert sorted(store.committed()) == ["a1", "b2"]


def test_damaged_names(store: Store) -> None:
    """Without readable names the trials stay, and are named by their keys."""
    _truncate(store.folder / "cells.parquet")
    _truncate(store.folder / "epochs" / "a1-1.parquet")

    with pytest.raises(AblateError) as raised:
        store.cells()

    assert "2 damaged file(s)" in str(raised.value)
    assert "cells.parquet (the names of the trials)" in str(raised.value)
    assert "(attempt 1 at key a1)" in str(raised.value)
    assert store.cells().num_rows == 0
    assert list(store.committed()) == ["b2"]


def test_nothing_that_was_set_aside_is_overwritten(store: Store) -> None:
    """Two damaged files of one name lie beside each other."""
    for _ in range(2):
        (store.folder / "cells.parquet").write_bytes(b"broken")
        with pytest.raises(AblateError):
            store.check()
    assert [path.name for path in store.set_aside()] == ["cells.2.parquet", "cells.parquet"]


def test_every_flipped_bit_is_seen_or_harmless(store: Store) -> None:
    """No flipped bit of a trial's file changes a number that is read."""
    path = store.folder / "trials" / "a1-1.parquet"
    whole, rows = path.read_bytes(), store.trials().to_pylist()
    for place in np.random.default_rng(7).integers(0, 8 * len(whole), 60):
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        path.write_bytes(content)
        try:
            assert store.trials().to_pylist() == rows
        except AblateError:
            for aside in store.set_aside():
                aside.rename(store.folder / aside.relative_to(store.folder / "bad"))
    path.write_bytes(whole)
    assert store.trials().to_pylist() == rows
