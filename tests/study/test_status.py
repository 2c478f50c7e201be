"""Status: how far a profile is, from its store alone."""

from pathlib import Path

import pytest
from fake_training import Fake
from matrix import entries, fill, new_store

from ablate.errors import AblateError
from ablate.study.entries import cell_rows
from ablate.study.status import find_statuses, status_of


def test_every_trial_is_counted_once(tmp_path: Path) -> None:
    """Done, diverged, failed and missing add up; what was begun has a checkpoint."""
    store = new_store(tmp_path)
    fill(store, entries((1, 2, 3, 4)), Fake(diverges=(2,), raises=(3,)))
    store.write_cells(cell_rows(entries((1, 2, 3, 4, 5, 6))))

    status = status_of(store)
    assert (status.ok, status.diverged, status.failed, status.missing) == (2, 1, 1, 2)
    assert (status.total, status.begun, status.set_aside) == (6, 1, ())


def test_studies_are_narrowed(tmp_path: Path) -> None:
    """All of them, those of one study, or none, which says what there is to do."""
    fill(new_store(tmp_path), entries([1]))
    assert [(s.study, s.profile) for s in find_statuses(tmp_path, None, None)] == [
        ("study", "quick")
    ]
    assert find_statuses(tmp_path, "folder/study.toml", "quick") == find_statuses(
        tmp_path, "study", "quick"
    )
    with pytest.raises(AblateError, match="no results of other quick in"):
        find_statuses(tmp_path, "other", "quick")
