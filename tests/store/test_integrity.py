"""Damage is named by who reads and set aside by who runs; what is whole stays."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ablate.errors import AblateError
from ablate.store import Store, unnamed


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

    aside = store.set_damage_aside()

    assert aside is not None
    assert aside.keys == {"a1"}
    assert f"{table}/a1-1.parquet (attempt 1 at 'label of a1', seed 7): " in aside.said
    assert f"now set aside in {store.folder / 'bad'}" in aside.said
    assert list(store.committed()) == ["b2"]
    assert store.epochs().column("key").to_pylist() == ["b2"]
    moved = {path.parent.name for path in store.set_aside()}
    assert moved == {"trials", "epochs", "tokens"} - ({table} if damage is Path.unlink else set())
    assert store.last_attempts().get("a1", 0) == 1
    store.check()


READS = (Store.check, Store.trials, Store.committed, Store.epochs, Store.tokens)


@pytest.mark.parametrize("read", READS)
def test_no_read_skips_damage_in_silence_or_moves_it(
    store: Store, read: Callable[[Store], object]
) -> None:
    """Every way of reading names each damaged file and the command that mends; none writes."""
    _truncate(store.folder / "trials" / "a1-1.parquet")
    _flip(store.folder / "tokens" / "b2-1.parquet")
    before = _content(store)
    with pytest.raises(AblateError) as raised:
        read(store)
    assert raised.value.given == ("trials/a1-1.parquet", "tokens/b2-1.parquet")
    message = str(raised.value)
    assert "(attempt 1 at 'label of a1', seed 7)" in message
    assert "`ablate run --study placement --profile quick" in message
    assert _content(store) == before


@pytest.mark.parametrize(
    "table", [pytest.param("trials", id="row"), pytest.param("epochs", id="curve")]
)
def test_what_is_whole_is_read_beside_damage(store: Store, table: str) -> None:
    """A store without what is damaged leaves out its attempt as a whole, says so, moves none."""
    _truncate(store.folder / table / "a1-1.parquet")
    before = _content(store)

    whole = store.whole()

    assert list(whole.committed()) == ["b2"]
    assert whole.trials().column("key").to_pylist() == ["b2"]
    assert whole.epochs().column("key").to_pylist() == ["b2"]
    assert whole.tokens().column("key").unique().to_pylist() == ["b2"]
    assert f"left out here: {table}/a1-1.parquet (attempt 1" in (whole.damage() or "")
    assert _content(store) == before


def test_a_store_without_damage_has_none_to_tell(store: Store) -> None:
    """Nothing is said of a whole store, whoever asks."""
    assert store.whole().damage() is None
    assert store.set_damage_aside() is None
    assert store.set_aside() == ()


def test_tokens_are_verified_where_they_are_asked_for(store: Store) -> None:
    """A report reads none and says nothing of them; who reads tokens leaves the attempt out."""
    _flip(store.folder / "tokens" / "a1-1.parquet")
    assert list(store.whole().committed()) == ["a1", "b2"]
    whole = store.whole(("tokens",))
    assert whole.tokens().column("key").unique().to_pylist() == ["b2"]
    assert "tokens/a1-1.parquet" in (whole.damage() or "")


def test_a_file_that_cannot_be_opened_is_not_damaged(store: Store) -> None:
    """Who may not read a file says so in a sentence; nothing is left out or set aside."""
    path = store.folder / "trials" / "a1-1.parquet"
    path.unlink()
    path.mkdir()
    for read in (*READS, Store.whole, Store.set_damage_aside):
        with pytest.raises(AblateError) as raised:
            read(store)
        assert raised.value.given == path
    assert store.set_aside() == ()


def _content(store: Store) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}


def test_another_trials_file_under_this_name(store: Store, refused: Any) -> None:
    """A file that holds another trial than its name promises is not believed."""
    _swap(store.folder / "trials" / "a1-1.parquet")
    with refused(given=("trials/a1-1.parquet",)):
        store.check()
    store.set_damage_aside()
    assert list(store.committed()) == ["b2"]


def test_a_stray_file_is_named(store: Store, refused: Any) -> None:
    """A copy that other readers would count twice is named and set aside."""
    trials = store.folder / "trials"
    (trials / "copy of a1.parquet").write_bytes((trials / "a1-1.parquet").read_bytes())
    with refused(given=("trials/copy of a1.parquet",)):
        store.check()
    assert sorted(store.committed()) == ["a1", "b2"]


def test_damaged_names(store: Store) -> None:
    """Without readable names the trials stay, and are named by their keys."""
    _truncate(store.folder / "cells.parquet")
    _truncate(store.folder / "epochs" / "a1-1.parquet")

    with pytest.raises(AblateError) as raised:
        store.cells()

    assert raised.value.given == ("cells.parquet", "epochs/a1-1.parquet")
    assert "(attempt 1 at key a1)" in str(raised.value)
    assert store.whole().cells().num_rows == 0
    assert list(store.whole().committed()) == ["b2"]
    store.set_damage_aside()
    assert store.cells().num_rows == 0
    assert list(store.committed()) == ["b2"]


def test_missing_names_are_damage(store: Store) -> None:
    """Trials without their file of names are named by every reader; a run begins new names."""
    assert store.unnamed() == ()
    (store.folder / "cells.parquet").unlink()

    for read in (Store.check, Store.cells, Store.unnamed):
        with pytest.raises(
            AblateError, match=r"cells\.parquet \(the names of the trials\): "
        ) as raised:
            read(store)
        assert raised.value.given == ("cells.parquet",)
    whole = store.whole()
    assert "cells.parquet" in (whole.damage() or "")
    assert [row["key"] for row in whole.unnamed()] == ["a1", "b2"]
    assert "2 ('none, seed 7'); a run with the options" in (unnamed(whole) or "")
    aside = store.set_damage_aside()
    assert aside is not None
    assert aside.keys == frozenset()
    store.check()
    assert [row["key"] for row in store.unnamed()] == ["a1", "b2"]


def test_a_store_that_was_never_run_lacks_no_names(tmp_path: Path) -> None:
    """Without a trial there is nothing to name."""
    store = Store.of(tmp_path, "placement", "quick")
    assert store.whole().damage() is None
    assert store.cells().num_rows == 0


def test_nothing_that_was_set_aside_is_overwritten(store: Store) -> None:
    """Two damaged files of one name lie beside each other."""
    for _ in range(2):
        (store.folder / "cells.parquet").write_bytes(b"broken")
        store.set_damage_aside()
    assert [path.name for path in store.set_aside()] == ["cells.2.parquet", "cells.parquet"]


def test_every_flipped_bit_is_seen_or_harmless(store: Store) -> None:
    """No flipped bit of a trial's file changes a number that is read."""
    path = store.folder / "trials" / "a1-1.parquet"
    whole, rows = path.read_bytes(), store.trials().to_pylist()
    for place in np.random.default_rng(7).integers(0, 8 * len(whole), 60):
        content = bytearray(whole)
        content[place // 8] ^= 1 << (place % 8)
        path.write_bytes(content)
        with contextlib.suppress(AblateError):
            assert store.trials().to_pylist() == rows
    path.write_bytes(whole)
    assert store.trials().to_pylist() == rows
