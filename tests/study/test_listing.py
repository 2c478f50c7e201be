"""What lies below a results folder, and how far each profile is, from its store alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_training import Fake
from matrix import entries, fill, new_store

from ablate.status import Status
from ablate.store.listing import count_trials, list_stores
from ablate.study.entries import name_rows


def test_every_trial_is_counted_once(tmp_path: Path) -> None:
    """Done, diverged, failed and missing add up; what was begun has a checkpoint."""
    store = new_store(tmp_path)
    fill(store, entries((1, 2, 3, 4)), Fake(diverges=(2,), raises=(3,)))
    store.write_cells(name_rows(entries((1, 2, 3, 4, 5, 6))))

    counts = count_trials(store)
    wanted = {"ok": 2, "diverged": 1, "failed": 1, "missing": 2, "begun": 1, "total": 6}
    # A status that is added has a count of its own.
    assert counts.columns == dict.fromkeys(Status, 0) | wanted
    assert list(counts.columns)[-3:] == ["missing", "begun", "total"]
    assert (counts.set_aside, counts.holder, counts.under_way) == ((), None, None)


def test_studies_are_narrowed(tmp_path: Path, refused: Callable[..., Any]) -> None:
    """All of them, those of one study, or none, which says what there is to do."""
    fill(new_store(tmp_path), entries([1]))
    assert [(s.study, s.profile) for s in list_stores(tmp_path)] == [("study", "quick")]
    assert list_stores(tmp_path, "folder/study.toml", "quick") == list_stores(
        tmp_path, "study", "quick"
    )
    with refused(given="other", allowed=("study",)):
        list_stores(tmp_path, "other", "quick")
