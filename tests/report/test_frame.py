"""The store as frames: names, headline epochs, perplexities, and words for what is not there."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from written_stores import QUICK

import ablate
from ablate.errors import AblateError
from ablate.report import epochs, results, tokens
from ablate.report.frame import read_cells
from ablate.store import Store
from ablate.store.forget import find_points

Write = Callable[..., Store]


def test_one_row_a_placement_and_seed(write: Write, tmp_path: Path):
    """The frame has a row for each name and seed, in the order of the study file."""
    write(tmp_path, seeds=2)
    frame = results("placement", results=tmp_path)
    assert frame.equals(results("studies/placement.toml", results=tmp_path))
    assert len(frame) == 28
    assert frame["label"].drop_duplicates().tolist()[:3] == [
        "none",
        "zaremba2014 .25",
        "zaremba2014 .5",
    ]
    assert frame["seed"].tolist()[:2] == [1, 2]
    assert frame.loc[frame["baseline"], "strategy"].unique().tolist() == ["none"]


def test_perplexity_is_derived(write_few: Write, tmp_path: Path):
    """Perplexity is exp of the headline's nats; the gap is valid minus train."""
    write_few(tmp_path)
    frame = results("placement", results=tmp_path)
    assert frame["valid_ppl"].to_numpy() == pytest.approx(np.exp(frame["valid_nll_last"]))
    assert frame["gap"].to_numpy() == pytest.approx(frame["valid_nll"] - frame["train_nll"])


def test_headline_is_the_recipes(write: Write, tmp_path: Path):
    """A recipe with the headline "best" shows the numbers of the epoch of lowest valid loss."""
    from_recipe = {"headline": "best", "epochs": 8}
    write(tmp_path, recipe=from_recipe)
    frame = results("placement", results=tmp_path)
    assert frame["valid_nll"].tolist() == frame["valid_nll_best"].tolist()
    assert (frame["valid_nll_best"] < frame["valid_nll_last"]).any()


def test_a_trial_under_two_names_has_two_rows(write: Write, tmp_path: Path):
    """One key known under two names is shown under both."""
    store = write(tmp_path, seeds=1)
    row = store.cells().to_pylist()[0]
    store.write_cells(
        [row | {"strategy": "zaremba2014", "arguments": '{"rate":0.0}', "label": "z 0"}]
    )
    frame = results("placement", results=tmp_path)
    assert frame.loc[frame["key"] == row["key"], "label"].tolist() == ["none", "z 0"]


def test_a_label_of_the_report_is_forgotten_by_it(write: Write, tmp_path: Path):
    """Also where an earlier version stored the arguments in another order, or fewer of them."""
    store = write(tmp_path, points=QUICK[5:7])
    first, second, *rest = store.cells().to_pylist()
    stored = ('{"sharing":"step","rate":0.25}', '{"rate":0.5}')
    rows = [row | {"arguments": text} for row, text in zip((first, second), stored, strict=True)]
    store.drop_names([first, second])
    store.write_cells(row | {"label": "mine"} for row in [*rows, *rest])
    cells = read_cells(store)
    assert sorted(set(cells["label"])) == [
        "mine (layers=all, rate=0.25, sharing=step)",
        "mine (layers=all, rate=0.5, sharing=step)",
    ]
    for label, own in cells.groupby("label"):
        assert find_points(store, [str(label)]).keys == set(own["key"])


def test_equal_labels_are_told_apart(write: Write, tmp_path: Path):
    """Two placements that share a label get their arguments behind it."""
    store = write(tmp_path, seeds=1)
    rows = [row for row in store.cells().to_pylist() if row["strategy"] == "zaremba2014"]
    store.write_cells([row | {"label": "zaremba"} for row in rows])
    labels = set(results("placement", results=tmp_path)["label"])
    assert {"zaremba (rate=0.25)", "zaremba (rate=0.5)", "zaremba (rate=0.75)"} <= labels


def test_lost_trials_are_rows_without_numbers(write: Write, tmp_path: Path):
    """Diverged and failed trials are in the frame with their status and nan."""
    write(tmp_path, points=QUICK[:4], diverged=((1, 1),), failed=((2, 2),), pending=((3, 1),))
    frame = results("placement", results=tmp_path)
    assert frame["status"].value_counts().to_dict() == {"ok": 5, "diverged": 1, "failed": 1}
    lost = frame[frame["status"] != "ok"]
    assert lost["valid_ppl"].isna().all()


def test_a_retry_that_ended_counts(write_few: Write, tmp_path: Path):
    """A failure before a committed attempt is forgotten; a later one does not undo it."""
    write_few(tmp_path, failed=((0, 1),), seeds=1)
    first = results("placement", results=tmp_path)
    assert first["status"].tolist().count("failed") == 1
    store = Store.of(tmp_path, "placement", "quick")
    row = next(row for row in store.trials().to_pylist() if row["status"] == "failed")
    finished = row | {"attempt": 2, "status": "ok", "valid_nll_last": 5.0, "error": None}
    store.write(finished, [], {})
    store.write_failure(row | {"attempt": 3})
    frame = results("placement", results=tmp_path).set_index("label")
    assert frame.loc["none", "status"] == "ok"
    assert frame.loc["none", "valid_ppl"] == pytest.approx(math.exp(5.0))


def test_epochs_and_tokens(write_few: Write, tmp_path: Path):
    """Learning curves have a row an epoch, tokens a row a token, both by key."""
    store = write_few(tmp_path, seeds=1)
    key = store.cells().to_pylist()[0]["key"]
    curve = epochs("placement", results=tmp_path).query("key == @key")
    assert curve["epoch"].tolist() == list(range(1, 9))
    found = tokens("placement", results=tmp_path, keys=[key])
    assert found.groupby("split", observed=True).size().to_dict() == {"valid": 50, "test": 50}
    assert found["log_prob"].dtype == np.float32


def test_results_is_public(write_few: Write, tmp_path: Path):
    """`ablate.results` is this function."""
    write_few(tmp_path, seeds=1)
    assert len(ablate.results("placement", results=tmp_path)) == 3


def test_no_results_at_all(tmp_path: Path, refused):
    """An empty folder says what to run."""
    with refused(AblateError):
        results("mine", results=tmp_path)


def test_unknown_study_and_profile(write_few: Write, tmp_path: Path, refused):
    """A slip of the pen is named together with what there is."""
    write_few(tmp_path, seeds=1)
    with refused(AblateError, given="placment", allowed=("placement",)):
        results("placment", results=tmp_path)
    with refused(AblateError, given="quik", allowed=("quick",)):
        results("placement", "quik", results=tmp_path)


def test_several_profiles_are_never_mixed(write_few: Write, tmp_path: Path, refused):
    """With two profiles one must be named."""
    write_few(tmp_path, seeds=1)
    write_few(tmp_path, seeds=1, profile="full")
    with refused(AblateError):
        results("placement", results=tmp_path)
    assert len(results("placement", "full", results=tmp_path)) == 3


def test_a_study_that_has_only_begun(write_few: Write, tmp_path: Path, refused):
    """Cells without a finished trial are no results."""
    everything = tuple((point, 1) for point in range(3))
    write_few(tmp_path, seeds=1, pending=everything)
    with refused(AblateError):
        results("placement", results=tmp_path)
