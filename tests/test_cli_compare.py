"""The command line: `ablate compare`, and `ablate report --open`."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny import ablate
from written_stores import QUICK, write_study

from ablate.report import Report

PAGES = (Path("results/placement/quick/report/index.html"), Path("results/cells/index.html"))


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two profiles of a study; the working folder is the one above them."""
    write_study(tmp_path / "results", points=QUICK[:3], seeds=3)
    write_study(tmp_path / "results", points=QUICK[:4], profile="tenth", precision="bf16")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


def test_two_profiles_side_by_side(results: Path) -> None:
    """The verdict comes first, then both sides, what differs, and a row a placement."""
    ran = ablate("compare", "placement:quick", "results/placement/tenth")
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("The order of the 3 placements is the same in A and in B")
    assert lines[1].startswith("A: placement (quick) in results: ptb-tenth, LSTM")
    assert lines[2].startswith("B: placement (tenth) in ")
    assert lines[3] == "A and B differ in precision fp32 and bf16."
    assert sum(line.startswith(("none ", "zaremba2014 ")) for line in lines) == 3
    assert lines[-1] == "Only B has a finished trial of zaremba2014 .75."


def test_two_results_folders(results: Path) -> None:
    """`--results` twice: that of A and that of B."""
    write_study(results.parent / "there", points=QUICK[:2], study="placement")
    folders = ("--results", results, "--results", results.parent / "there")
    ran = ablate("compare", "placement:quick", "placement", *folders)
    assert ran.exit_code == 0, ran.output
    assert f"B: placement (quick) in {results.parent / 'there'}: " in ran.stdout


def test_a_comparison_in_files(results: Path) -> None:
    """CSV with every number in full, Markdown to read."""
    files = ("--csv", "c.csv", "--markdown", "c.md")
    ran = ablate("compare", "placement:quick", "placement:tenth", *files)
    assert ran.stdout.endswith("written: c.csv\nwritten: c.md\n")
    rows = pd.read_csv("c.csv")
    assert rows["label"].tolist() == ["zaremba2014 .5", "zaremba2014 .25", "none"]
    assert rows["b_rank"].tolist() == [1, 2, 3]
    text = Path("c.md").read_text(encoding="utf-8")
    assert text.startswith("The order of the 3 placements")
    assert "| placement | A (valid ppl) |" in text


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("placment", "placement:quick"), id="study"),
        pytest.param(("placement", "placement:quick"), id="profile"),
        pytest.param(("placement:quick", "placement:tenth", *["--results", "r"] * 3), id="results"),
        pytest.param(
            ("placement:quick", "placement:tenth", "--combination", "GRU"), id="combination"
        ),
        pytest.param(
            ("placement:quick", "placement:tenth", "--csv", "no/folder.csv"), id="csv-folder"
        ),
        pytest.param(("placement:quick", "placement:tenth", "--markdown", "."), id="markdown"),
    ],
)
def test_compare_refuses(results: Path, arguments: tuple[str, ...], wording: Any) -> None:
    """One sentence that says what to do, and exit code 2."""
    ran = ablate("compare", *arguments)
    assert ran.exit_code == 2, ran.output
    assert "Traceback" not in ran.output
    wording(ran.stderr)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a browser was asked to open, on a machine with a screen; the reports are written."""
    reports = tuple(Report("s", "quick", page, f"text of {page}") for page in PAGES)
    monkeypatch.setattr("ablate.report.build", lambda *_, **__: reports)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    asked: list[str] = []
    monkeypatch.setattr("click.launch", lambda page: asked.append(page) or 0)
    return asked


def test_each_page_is_opened(opened: list[str]) -> None:
    """Those that this command wrote, in its order, by paths that hold everywhere."""
    ran = ablate("report", "--open")
    assert ran.exit_code == 0, ran.output
    assert opened == [str(page.absolute()) for page in PAGES]
    assert "browser" not in ran.output


def test_nothing_is_opened_unasked(opened: list[str]) -> None:
    """A report is often made by a script."""
    assert ablate("report").exit_code == 0
    assert opened == []


@pytest.mark.parametrize("how", ["no-screen", "no-browser"])
def test_where_nothing_can_be_opened_it_is_said(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """In one line; the report stands, so that the exit code is 0."""
    if how == "no-screen":
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    else:
        monkeypatch.setattr("click.launch", lambda page: 1)
    ran = ablate("report", "--open")
    assert ran.exit_code == 0
    assert opened == []
    said = [line for line in ran.stdout.splitlines() if "browser" in line]
    assert said == ["no browser can be opened here; the page is a file that any browser opens"]
