"""Corpora of more types than one row of an address holds: read, trained and stored."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tiny import write_file

from ablate.addresses import LIMITS
from ablate.study.driver import run
from ablate.study.job import Order, prepare

TYPES = LIMITS["unit"] + 99
RECIPE = {"unroll": 40, "batch": 20, "epochs": 1, "hold": 1, "train_eval_tokens": 100}


def test_a_corpus_of_more_types_than_a_row_of_units_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One epoch to its end, with words dropped by place and by type."""
    # Two threads that wait for each other are slow beside other work.
    monkeypatch.setattr("ablate.study.job.cores", lambda: 1)
    texts = tmp_path / "texts"
    texts.mkdir()
    study = write_file(
        tmp_path / "many.toml",
        texts,
        net="{layers = 1, hidden = 2}",
        strategies='[{name = "token"}, {name = "gal2016"}]',
        recipe=RECIPE,
    )
    every = " ".join(f"w{number}" for number in range(TYPES - 1))
    (texts / "train.txt").write_text(f"{every}\n" + "w1 w1 w1\n" * 2_000)
    for split in ("valid", "test"):
        (texts / f"{split}.txt").write_text("w1 w1 w1\n" * 9)
    job = prepare(Order(study=str(study), device="cpu", slots=0, results=tmp_path / "results"))
    assert len(job.corpus.vocabulary) == TYPES
    run(job.entries, job.store, job.executor(), slots=1, console=Console(quiet=True))
    rows = pq.read_table(job.store.folder / "trials").to_pylist()
    assert [(row["status"], row["error"], row["vocabulary"]) for row in rows] == (
        [("ok", None, TYPES)] * 2
    )
