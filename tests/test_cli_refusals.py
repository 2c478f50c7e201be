"""The command line: what it refuses, with which words and exit code, and how it is interrupted."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from tiny import ablate, run, write_study

from ablate.errors import AblateError
from ablate.store.about import About
from ablate.store.studies import file_of, name_of
from ablate.study.file import find_study

_IS_A_FILE = "results lie in a folder, and {} is a file; name a folder with --results DIR"

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that wait for each other are slow beside other work, and here there is none."""
    monkeypatch.setattr("ablate.study.job.cores", lambda: 1)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study file without results."""
    return write_study(tmp_path)


def message_of(result: Result) -> str:
    """The message of a refusal: exit code 2, on stderr, no traceback."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result.stderr


@pytest.mark.parametrize("command", ["run", "cite", "strategies", "explain"])
def test_a_plugin_file_that_does_not_exist_is_refused(
    study: Path, command: str, wording: Any
) -> None:
    """The user asked for it: going on without it would do something else."""
    rest = {"strategies": (), "explain": ("none",)}.get(command, ("--study", study))
    wording(message_of(ablate(command, *rest, "--plugin", "nope.py")))


def test_a_broken_package_is_one_sentence(tmp_path: Path, wording: Any) -> None:
    """What another installed package breaks is said without Python's file, line and source."""
    (tmp_path / "boxed-1.5.dist-info").mkdir()
    (tmp_path / "boxed-1.5.dist-info" / "METADATA").write_text("Name: boxed\nVersion: 1.5\n")
    (tmp_path / "boxed-1.5.dist-info" / "entry_points.txt").write_text(
        "[ablate.strategies]\nboxed = boxed_strategies\n"
    )
    (tmp_path / "boxed_strategies.py").write_text("x = 1 / 0\n")
    ended = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "strategies"],
        capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    wording(ended.stderr)
    assert "zaremba2014\n" in ended.stdout


def test_a_failed_trial_is_exit_code_1(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is listed, and where its whole error stands."""

    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr("ablate.training.loop.train_cohort", break_down)
    result = run(study, "--strategies", "none")
    assert result.exit_code == 1
    assert "0 trial(s) trained, 1 failed\n" in result.output
    assert "\n  none, seed 1: RuntimeError: the machine is on fire\n" in result.output
    assert "the same command tries these trials again" in result.output
    (row,) = pq.read_table(study.parent / "results/tiny/quick/trials").to_pylist()
    assert row["error"].startswith("Traceback")


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--strategies", "zaremba2015"), id="strategy"),
        pytest.param(("--profile", "quik"), id="profile"),
        pytest.param(("--set", "recipe.epoch=3"), id="setting"),
        pytest.param(("--set", "epochs"), id="set"),
        pytest.param(("--seeds", 0), id="seeds"),
        pytest.param(("--data", "/nowhere/at/all"), id="data"),
        pytest.param(("--slots", -1), id="slots"),
        pytest.param(("--cohort", 0), id="cohort"),
        pytest.param(("--cohort", 65), id="large-cohort"),
        pytest.param(("--strategies", ","), id="no-name"),
        pytest.param(("--hours", "nan"), id="hours-nan"),
        pytest.param(("--hours", "inf"), id="hours-inf"),
        pytest.param(("--hours", -1), id="hours-below-0"),
    ],
)
def test_run_refuses(study: Path, arguments: tuple[object, ...], wording: Any) -> None:
    """A wrong option is one message with exit code 2, and nothing is written."""
    wording(message_of(run(study, *arguments)))
    assert not (study.parent / "results").exists()


def test_a_device_that_is_not_there_is_refused(study: Path) -> None:
    """The message lists those of this machine."""
    assert "there is no device 'gpu'" in message_of(run(study, "--device", "gpu"))


def test_a_missing_study_is_refused(wording: Any) -> None:
    """A misspelt study has the nearest name in its message."""
    wording(message_of(ablate("run", "--study", "placment")))


def test_a_file_that_is_called_as_a_study_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wording: Any
) -> None:
    """A bare word is a name; with its folder it is a path, and so it is where nothing else is."""
    monkeypatch.chdir(tmp_path)
    shipped, _ = find_study("placement")
    for name in ("placement", "mine"):
        Path(name).write_text("question = 1")
    assert find_study("placement")[0].question == shipped.question
    assert (name_of("mine"), name_of("./mine"), file_of("mine")) == ("mine", "mine", None)
    with pytest.raises(AblateError, match=r"the study file mine"):
        find_study("./mine")
    assert About.of(Path("mine"), "?").name == "./mine"
    wording(message_of(ablate("run", "--study", "mine")))


def test_looks_are_a_number_of_seconds_apart(tmp_path: Path, wording: Any) -> None:
    """Neither none nor endless ones."""
    for seconds in ("nan", "inf", "0"):
        wording(message_of(ablate("status", "--watch", seconds, "--results", tmp_path)))


@pytest.mark.parametrize("command", ["report", "status"])
def test_no_results_are_refused(tmp_path: Path, command: str, wording: Any) -> None:
    """Before any run, the message says what to run."""
    wording(message_of(ablate(command, "--results", tmp_path / "none")))


def test_an_unknown_strategy_is_not_explained(wording: Any) -> None:
    """`explain` names the nearest strategy."""
    wording(message_of(ablate("explain", "gall2016")))


def test_a_results_folder_that_cannot_be_written(study: Path, wording: Any) -> None:
    """A file in its place, or in that of the study's, is named before anything is timed or read."""
    (study.parent / "results").write_text("not a folder")
    wording(message_of(run(study)))
    for file in (study.parent / "results", study.parent / "results" / "below"):
        for command in ("run", "report", "status"):
            said = message_of(ablate(command, "--study", study, "--results", file))
            assert said == f"ablate: {_IS_A_FILE.format(study.parent / 'results')}\n"
    (study.parent / "other").mkdir()
    (study.parent / "other" / "tiny").write_text("not a folder")
    wording(message_of(run(study, "--results", study.parent / "other")))


@pytest.mark.parametrize("command", ["run", "report", "strategies"])
def test_ctrl_c_is_one_sentence_and_130(
    study: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Before, while and after anything is trained: shells know that code."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablate.study.job.find_study", interrupted)
    monkeypatch.setattr("ablate.report.build", interrupted)
    monkeypatch.setattr("ablate.strategies.all_strategies", interrupted)
    result = ablate(command, *(("--study", study) if command == "run" else ()))
    assert result.exit_code == 130
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("ablate: stopped")
    assert ("the same command goes on from there" in sentence) == (command == "run")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_while_modules_are_imported_is_a_sentence(
    tmp_path: Path, name: str, code: int
) -> None:
    """A run is interrupted most often while it seems to do nothing; a queue sends the other."""
    (tmp_path / "ablate").symlink_to(ROOT / "ablate")
    slow = tmp_path / "torch"
    slow.mkdir()
    # A shell's background process ignores the signal, and so do those that it starts.
    (slow / "__init__.py").write_text(
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"signal.raise_signal(signal.{name})\n"
    )
    ended = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "run", "--study", "smoke"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == code
    assert ended.stderr.startswith("ablate: stopped")
    assert len(ended.stderr.splitlines()) == 1


def test_two_files_of_one_name_are_told_apart(study: Path, wording: Any) -> None:
    """The second is refused before anything is timed or trained, by a dry run too."""
    run(study, "--strategies", "none")
    other = study.parent / "elsewhere" / study.name
    other.parent.mkdir()
    other.write_text(study.read_text().replace("Does dropout help?", "Does it hurt?"))
    where = ("--results", study.parent / "results")
    wording(message_of(ablate("run", "--study", other, "--dry-run", *where)))
