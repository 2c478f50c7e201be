"""Whoever reads results writes nothing: beside damage, beside a run, and on any system."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import ablate
from ablate.cli import main
from ablate.errors import AblateError, AblateWarning
from ablate.report import build
from ablate.report.frame import epochs, read_trials, tokens
from ablate.store import Store

Write = Callable[..., Store]


def _content(folder: Path) -> dict[Path, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and "report" not in path.parts)
    return {path: path.read_bytes() for path in files}


def _damage(store: Store, file: str) -> None:
    path = store.folder / file
    path.write_bytes(path.read_bytes()[:-20])


@pytest.fixture
def damaged(write_few: Write, tmp_path: Path) -> Store:
    """Three placements with two seeds, of which one trial has lost its row."""
    store = write_few(tmp_path / "results")
    first = store.trials().column("key")[0].as_py()
    _damage(store, f"trials/{first}-1.parquet")
    return store


@pytest.mark.usefixtures("without_figures")
def test_reports_and_status_show_what_is_whole_and_name_what_is_not(damaged: Store) -> None:
    """The table stands without the damaged trial, page and text name it, and nothing is moved."""
    results, before = damaged.folder.parent.parent, _content(damaged.folder)

    (report,) = build(results)
    status = CliRunner().invoke(main, ["status", "--results", str(results)])

    words = "1 damaged file(s)"
    mend = f"`ablate run --study placement --profile quick --results {results}`"
    for said in (report.text, status.output):
        assert words in said
        assert mend in said
    assert words in report.page.read_text()
    (counts,) = (line for line in status.output.splitlines() if line.startswith("placement"))
    assert counts.split() == ["placement", "quick", "5", "0", "0", "0", "1", "0", "6"]
    assert _content(damaged.folder) == before


@pytest.mark.usefixtures("squares_for_figures")
def test_a_report_is_written_into_a_folder_of_any_name(write_few: Write, tmp_path: Path) -> None:
    """A folder whose bytes are no text is named on the page as Python would spell it."""
    store = write_few(tmp_path / os.fsdecode(b"a%20 b?#un\xffdec"))
    _damage(store, f"trials/{store.trials().column('key')[0].as_py()}-1.parquet")
    (report,) = build(store.folder.parent.parent)
    assert "a%20 b?#un\\udcffdec" in report.page.read_text(encoding="utf-8")
    assert len(read_trials(store.whole())) == 5


def test_frames_hold_what_is_whole_and_warn(damaged: Store) -> None:
    """Each frame leaves the damaged attempt out, and a warning names it at the caller's line."""
    results = damaged.folder.parent.parent
    for read in (ablate.results, epochs, tokens):
        with pytest.warns(AblateWarning, match=r"1 damaged file\(s\).*left out here") as warned:
            frame = read("placement", results=results)
        assert frame["key"].nunique() == 5
        assert warned[0].filename == __file__


def test_without_names_there_is_nothing_to_show(damaged: Store) -> None:
    """Damaged names are named in the error in place of results that have none."""
    _damage(damaged, "cells.parquet")
    with pytest.raises(AblateError, match=r"cells\.parquet \(the names of the trials\)"):
        build(damaged.folder.parent.parent)
    assert damaged.set_aside() == ()


def test_a_reader_beside_a_run_sees_whole_attempts(write_few: Write, tmp_path: Path) -> None:
    """Between the writes of an attempt a reader sees the attempts before it, and no damage."""
    source = write_few(tmp_path / "source")
    rows = list(source.committed().values())
    store = Store(tmp_path / "results" / "placement" / "quick")
    store.write_cells(source.cells().to_pylist())
    curves = {key: [] for key in source.committed()}
    for row in source.epochs().to_pylist():
        curves[row.pop("key")].append({k: v for k, v in row.items() if k != "attempt"})
    log_probs = {"valid": source.tokens().column("log_prob").to_numpy()}

    def write() -> None:
        for row in rows:
            store.write(row, curves[row["key"]], log_probs)

    writer, seen = threading.Thread(target=write), []
    writer.start()
    while writer.is_alive() or len(seen) < 3:
        whole = store.whole(("trials", "epochs", "tokens"))
        assert whole.damage() is None
        committed = whole.committed()
        assert whole.tokens(committed).column("key").unique().to_pylist() == sorted(committed)
        curved = set(whole.epochs().column("key").to_pylist())
        assert curved >= committed.keys()
        seen.append(len(committed))
    writer.join()
    assert seen == sorted(seen)
    assert len(store.whole().committed()) == len(rows)


WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from pathlib import Path
import ablate
from ablate.report import build, write
from ablate.report.frame import epochs, read_trials, tokens
from ablate.store.listing import count_trials, list_stores

# What is drawn was read before.
write.draw_figures = lambda part: ()
results = Path(sys.argv[1])
print(len(ablate.results("placement", results=results)))
print(len(build(results)))
print(count_trials(list_stores(results)[0]).ended["ok"])
"""


def test_results_are_read_without_fcntl(write_few: Write, tmp_path: Path) -> None:
    """Reading needs no lock: where there is no `fcntl` frames, report and status work."""
    write_few(tmp_path)
    command = [sys.executable, "-c", WITHOUT_FCNTL, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["6", "1", "6"], said.stderr
