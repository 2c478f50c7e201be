"""What commands print where a terminal can show less than they would like, or has gone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import run, write_study

ROOT = Path(__file__).parents[1]


def _ended(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """One command in a process of its own, whose streams have the encoding of `environment`."""
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
    found = os.environ | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} | environment
    return subprocess.run(command, capture_output=True, check=True, env=found)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one finished trial."""
    study = write_study(tmp_path_factory.mktemp("finished"))
    assert run(study, "--strategies", "none", "--threads", 1).exit_code == 0
    return study.parent / "results"


# Latin-1 lacks what cp1252 lacks, and a few signs more.
@pytest.mark.parametrize(
    "encoding",
    ["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cp1252", "latin-1"))],
)
def test_a_terminal_without_unicode_shows_stand_ins(results: Path, encoding: str) -> None:
    """A multiplication sign is an x where there is none, and a table's rule is made of dashes."""
    ended = _ended("report", "--results", results, PYTHONIOENCODING=encoding)
    text = ended.stdout.decode(encoding)
    times = "x" if encoding == "ascii" else "\N{MULTIPLICATION SIGN}"
    assert f"LSTM 1 {times} 4" in text
    assert re.search("^-{20,}$", text, re.M)
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("columns", ["0", "abc", "20", "-3", "\N{SUPERSCRIPT TWO}", ""])
def test_any_width_is_taken(columns: str) -> None:
    """What is no width is passed over, and what is too narrow to read is widened."""
    lines = _ended("explain", "zaremba2014", COLUMNS=columns, LINES=columns).stdout.splitlines()
    assert 20 <= max(map(len, lines)) <= 400


def test_a_reader_that_leaves_sees_no_traceback() -> None:
    """`ablate studies | head -1` ends without a word."""
    command = [sys.executable, str(ROOT / "cli.py"), "strategies"]
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert b"Traceback" not in ended.stderr


def test_help_is_kept_without_docstrings() -> None:
    """`PYTHONOPTIMIZE=2` takes docstrings out of the program; what they say is read again."""
    texts = [_ended("run", "--help", PYTHONOPTIMIZE=level).stdout for level in ("", "2")]
    assert texts[0] == texts[1]
    assert b"goes on from each" in texts[0]
