"""Where a corpus's path begins: at the study's file, or, typed, at the working directory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tiny import write_file, write_texts

from ablate.errors import AblateError
from ablate.study.changes import change
from ablate.study.corpus_path import CorpusPath
from ablate.study.driver import run
from ablate.study.file import read_study
from ablate.study.job import Job, Order, prepare
from ablate.study.messages import introduction


def write_study(folder: Path, corpus: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {"unroll": 5, "batch": 2, "epochs": 1, "hold": 1}
    return write_file(folder / "mine.toml", corpus, strategies='[{name = "none"}]', recipe=recipe)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, beside it a folder `elsewhere`."""
    (tmp_path / "here").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def job(study: Path, **order: object) -> Job:
    return prepare(Order(study=str(study), device="cpu", slots=0, **order))  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", ["texts", "./texts", "deep/texts", "../aside"])
def test_a_path_in_a_file_begins_at_the_file(here: Path, spec: str) -> None:
    """Wherever the run was started; the name stays as it was written, the folder is absolute."""
    study = write_study(here.parent / "elsewhere", spec)
    write_texts(study.parent / spec)
    done = job(study)
    assert done.corpus.name == spec
    (entry,) = done.entries
    assert entry.trial.corpus == spec
    assert entry.trial.folder is not None
    assert entry.trial.folder.is_absolute()
    assert entry.trial.folder.samefile(study.parent / spec)


def test_of_two_folders_of_one_name_the_files_own_is_read(here: Path) -> None:
    """A folder of that name in the working directory changes nothing."""
    study = write_study(here.parent / "elsewhere", "texts")
    write_texts(study.parent / "texts")
    alone = job(study).corpus
    write_texts(here / "texts", 10, 10)
    assert job(study).corpus == alone
    assert job(study, data="texts").corpus != alone


@pytest.mark.parametrize("typed", [{"data": "texts"}, {"settings": ("corpus=texts",)}])
def test_a_typed_path_begins_at_the_working_directory(here: Path, typed: dict[str, object]) -> None:
    """`--data` and `--set corpus=` alike, though the file has a folder of that name too."""
    study = write_study(here.parent / "elsewhere", "toy")
    write_texts(study.parent / "texts", 10, 10)
    write_texts(here / "texts")
    folder = job(study, **typed).corpus.folder
    assert folder is not None
    assert folder.samefile(here / "texts")


@pytest.mark.parametrize(
    ("spec", "mend"),
    [
        pytest.param("texts", "../here/texts", id="bare-word"),
        pytest.param("data/texts", "../here/data/texts", id="path"),
    ],
)
def test_a_folder_that_only_the_working_directory_has_is_named(
    here: Path, spec: str, mend: str, refused: Callable[..., Any]
) -> None:
    """The error says where a file's path begins, and what to write, which then works."""
    study = write_study(here.parent / "elsewhere", spec)
    write_texts(here / spec)
    with refused():
        job(study)
    write_study(study.parent, mend)
    assert len(job(study).entries) == 1


@pytest.mark.parametrize("spec", ["texts", "my data/texts"])
def test_a_folder_that_only_the_file_has_is_named(
    here: Path, spec: str, refused: Callable[..., Any]
) -> None:
    """The error says where a typed path begins, and what to type, quoted for a shell."""
    study = write_study(here.parent / "elsewhere", "toy")
    write_texts(study.parent / spec)
    with refused():
        job(study, data=spec)
    assert len(job(study, data=f"../elsewhere/{spec}").entries) == 1


def test_a_folder_that_is_nowhere_gets_no_hint(here: Path) -> None:
    """Nor does a built-in name that was misspelt, or a name too long to be one."""
    for spec in ("texts", "a/b", "ptb-tent", "x" * 5_000):
        with pytest.raises(AblateError) as caught:
            job(write_study(here.parent / "elsewhere", spec))
        assert "is there" not in str(caught.value)


def test_a_change_of_something_else_leaves_the_place(here: Path) -> None:
    """A corpus of the file stays the file's, one typed stays typed, through further changes."""
    study = write_study(here.parent / "elsewhere", "texts")
    write_texts(study.parent / "texts")
    once = change(read_study(study), "quick", {"recipe.epochs": 2})
    assert once.corpus_path("quick") == CorpusPath.in_file(study.parent)
    write_texts(here / "other")
    typed = change(change(once, "quick", {"corpus": "other"}), "quick", {"seeds": 2})
    assert typed.corpus_path("quick") == CorpusPath.typed(study.parent)
    assert typed.corpus_path("quick").load("other").folder == here / "other"


@pytest.mark.parametrize("typed", [True, False], ids=["typed", "in-file"])
def test_a_built_in_name_wins_and_that_is_said(here: Path, typed: bool) -> None:
    """A folder `toy` is read as `./toy` alone; without such a folder nothing is said."""
    study = write_study(here.parent / "elsewhere", "toy")
    begins = here if typed else study.parent
    order = {"data": "toy"} if typed else {}
    before = job(study, **order)
    assert not any("is not read" in line for line in introduction(before))
    write_texts(begins / "toy")
    after = job(study, **order)
    assert after.corpus == before.corpus
    (line,) = (line for line in introduction(after) if "is not read" in line)
    assert "./toy" in line
    own = job(study, data="./toy") if typed else job(write_study(study.parent, "./toy"))
    assert own.corpus != before.corpus
    assert not any("is not read" in line for line in introduction(own))


def test_a_trial_finds_its_texts_wherever_it_runs(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the absolute folder; the row has the name as it was asked for, and the text's options."""
    # Two threads that wait for each other are slow beside other work.
    monkeypatch.setattr("ablate.study.job.cores", lambda: 1)
    odd = os.fsdecode(b"my \xff#text")
    write_texts(here / odd)
    study = write_study(here.parent / "elsewhere", "toy")
    asked = job(study, data=odd, settings=("text.min_count=2",), results=here / "results")
    monkeypatch.chdir(study.parent)
    run(asked.entries, asked.store, asked.executor(), slots=1, console=Console(quiet=True))
    (row,) = pq.read_table(asked.store.folder / "trials").to_pylist()
    assert (row["status"], row["error"]) == ("ok", None)
    assert (row["corpus"], row["text"]) == (r"my \xff#text", '{"min_count":2}')
    assert row["corpus_digest"] == asked.corpus.digest


def test_the_introduction_says_what_the_vocabulary_lacks(here: Path) -> None:
    """How the text was read, the counts in one line, then each warning with its mend."""
    write_texts(here / "texts")
    (here / "texts/valid.txt").write_text("The nothing\n")
    (here / "texts/test.txt").write_text("the\n")
    study = write_study(here, "texts")
    lines = list(introduction(job(study)))
    at = next(number for number, line in enumerate(lines) if line.startswith("corpus texts: "))
    assert lines[at + 1].startswith("unknown words, scored as <unk>: valid 2 of 3 targets (66.7 %)")
    assert lines[at + 2].startswith("warning: <unk> is never a training target")
    assert "would be known in lower case" in lines[at + 3]
    options = ("text.min_count=2", "text.lowercase=true")
    mended = list(introduction(job(study, settings=options)))
    assert mended[at + 1] == "text: min_count = 2, lowercase = true"
    assert "valid 1 of 3" in mended[at + 2]
    assert not any(line.startswith("warning") for line in mended)


def test_another_folder_is_no_mistake_of_the_file(here: Path) -> None:
    """A file that names a folder with a path may be read before the folder is there."""
    study = write_study(here.parent / "elsewhere", "later/texts")
    assert read_study(study).profile().corpus == "later/texts"
