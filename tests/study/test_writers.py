"""The columns of `trials`: each has one writer, the driver or training."""

from dataclasses import replace
from pathlib import Path

import pytest
from matrix import entries, new_store

from ablate.data import load_corpus
from ablate.status import Status
from ablate.store.schema import TRIALS
from ablate.study.driver import known_before
from ablate.study.events import Assignment
from ablate.training.loop import Outcome, train


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A trial of the smallest net, trained for real."""
    corpus = load_corpus("toy")
    (entry,) = entries([1])
    recipe = entry.trial.recipe.model_copy(
        update={"batch": 100, "unroll": 50, "epochs": 1, "train_eval_tokens": 100}
    )
    trial = replace(entry.trial, recipe=recipe, corpus_digest=corpus.digest)
    folder = tmp_path_factory.mktemp("work")
    return train(trial, corpus, folder=folder, on_epoch=lambda row: None)


def test_no_column_has_two_writers(outcome: Outcome, tmp_path: Path) -> None:
    """What the driver knows and what training measured have no column in common, and lack none."""
    (entry,) = entries([1])
    known = known_before(Assignment(entry.trial, 1, tmp_path), outcome.status, entry)
    assert known.keys() & outcome.columns.keys() == set()
    assert known.keys() | outcome.columns.keys() | {"error"} == set(TRIALS.names)


def test_the_driver_alone_fills_what_a_failure_needs(tmp_path: Path) -> None:
    """A trial that failed before anything was measured has every column that may not be empty."""
    (entry,) = entries([1])
    known = known_before(Assignment(entry.trial, 1, tmp_path), Status.FAILED, entry)
    assert {field.name for field in TRIALS if not field.nullable} <= known.keys()
    store = new_store(tmp_path)
    store.write_failure(known | {"error": "out of memory"})
    (row,) = store.trials().to_pylist()
    assert {name: row[name] for name in known} == known
