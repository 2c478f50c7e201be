"""A study from Python: the frame that it returns, and what is refused."""

import multiprocessing
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import write_study

import ablate
from ablate.errors import AblateError


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three trials."""
    return write_study(tmp_path_factory.mktemp("running"))


def test_it_trains_and_returns_the_frame(study: Path, capsys: pytest.CaptureFixture[str]):
    """Changes are given as Python has them, a table's keys one by one."""
    results = study.parent / "results"
    frame = ablate.run(study, slots=0, device="cpu", results=results, recipe={"epochs": 1})
    assert list(frame["label"]) == ["none", "zaremba2014 .25", "zaremba2014 .5"]
    assert set(frame["status"]) == {"ok"}
    assert (frame["epochs"] == 1).all()
    assert "3 trial(s) trained" in capsys.readouterr().out
    kept = ablate.results("tiny", results=results)
    assert kept["valid_ppl"].tolist() == frame["valid_ppl"].tolist()


def test_the_same_call_again_trains_nothing(study: Path, capsys: pytest.CaptureFixture[str]):
    """And says nothing where it is asked to be quiet; a path is another way to give a change."""
    changes: dict[str, Any] = {"recipe.epochs": 1}
    results = study.parent / "results"
    given: dict[str, Any] = {"slots": 0, "device": "cpu", "results": results, "quiet": True}
    frame = ablate.run(str(study), **given, **changes)
    assert len(frame) == 3
    assert capsys.readouterr().out == ""


def test_a_text_that_was_edited_between_two_calls_is_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """In one process, which keeps what it has read."""
    study = write_study(tmp_path)
    given: dict[str, Any] = {"slots": 0, "device": "cpu", "results": tmp_path / "results"}
    given |= {"strategies": ["none"], "recipe": {"epochs": 1}}
    (before,) = ablate.run(study, **given)["corpus_digest"]
    with (tmp_path / "text" / "train.txt").open("a") as text:
        text.write("the end\n" * 20)
    frame = ablate.run(study, **given)
    assert set(frame["status"]) == {"ok"}
    assert before in set(frame["corpus_digest"])
    assert frame["corpus_digest"].nunique() == 2


def test_what_is_not_allowed_is_refused(study: Path, refused: Any):
    """As `ablate run` refuses it."""
    with refused(AblateError):
        ablate.run(study, slots=0, recipe={"epoch": 1})
    with refused(AblateError):
        ablate.run("no such study", slots=0)


def test_a_script_without_its_guard_is_told(
    monkeypatch: pytest.MonkeyPatch, study: Path, refused: Any
):
    """A worker reads the script that began it, and must not begin a run of its own."""
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    with refused(AblateError):
        ablate.run(study)


@pytest.mark.slow
def test_a_script_with_its_guard_uses_workers(study: Path, tmp_path: Path):
    """As a user writes it."""
    script = tmp_path / "mine.py"
    script.write_text(
        "import ablate\n"
        'if __name__ == "__main__":\n'
        f"    given = dict(slots=2, device='cpu', results='out', quiet=True)\n"
        f"    frame = ablate.run({str(study)!r}, **given)\n"
        "    print(len(frame), frame.status.unique().tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3 ['ok']\n"
