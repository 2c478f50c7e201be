"""The checks of a GPU, tried without one: each on the CPU, and their runner to its end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpu import documents, placements, step
from gpu.predictions import beside, predictions
from gpu.run import ROOT, Run, copy_new
from gpu.steps import CHECKS, LISTS, PARTS, STUDIES, Step

from ablate.study.file import find_study

# In a process of its own, where nothing was compiled before; those that go through everything.
_SLOW = {
    "edges-fp32", "edges-bf16", "schemes-fp32", "schemes-bf16", "eager", "cells", "cohort",
    "launches", "memory", "scoring", "modules", "audit",
}  # fmt: skip
_APART = {"fallback"}

ON_THE_CPU = [
    pytest.param(
        each.name, each.runs, id=each.name, marks=[pytest.mark.slow] if each.name in _SLOW else []
    )
    for each in (*CHECKS, *PARTS)
    if isinstance(each.runs, str) and each.name not in _APART
]


def _run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/gpu/run.py"), *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_without_a_gpu_each_step_says_what_it_lacks(tmp_path):
    """The runner goes to its end, keeps a summary and an archive, and nothing failed."""
    archive = tmp_path / "out.tar.gz"
    done = _run("check", "study", "--out", tmp_path / "out", "--archive", archive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out/summary.txt").read_text() == done.stdout
    machine, *lines = done.stdout.splitlines()
    assert machine.split()[:2] == ["machine", "ok"]
    assert [line.split()[0] for line in lines] == [each.name for each in (*CHECKS, *STUDIES)]
    assert all("lacks a CUDA device" in line for line in lines)
    assert archive.stat().st_size > 0


@pytest.mark.parametrize(("name", "runs"), ON_THE_CPU)
def test_a_check_holds_on_the_cpu(tmp_path, name, runs):
    """Its own comparisons, at tiny sizes, where nothing is captured."""
    ended = step.run(name, runs, tmp_path, "cpu")
    assert ended["state"] == "ok", ended["why"]
    assert len((tmp_path / f"{name}.jsonl").read_text().splitlines()) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_few_strategies_hold_on_the_cpu(precision):
    """What the slow ones do with all: gates apart, values held, a schedule."""
    chosen = ["gal2016", "zoneout", "morerio2017"]
    *rows, told = placements.placements("cpu", precision, chosen)
    assert [row["strategy"] for row in rows] == chosen
    assert told["told"].startswith(precision)


@pytest.mark.slow
def test_what_cannot_be_compiled_runs_eagerly(tmp_path):
    """As on a GPU whose compiler fails: one sentence, the same numbers."""
    (check,) = (each for each in CHECKS if each.name == "fallback")
    environment = {name: value for name, value in os.environ.items() if name != "ABLATE_COMPILE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    given = [check.name, str(check.runs), "--out", str(tmp_path), "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "gpu.step", *given],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


_ODD = """
import time

def holds(device):
    yield {"told": "it holds"}

def raises(device):
    yield {"number": 1}
    assert not device, "one thing\\ndiffers"

def hangs(device):
    yield {"number": 1}
    print("so far", flush=True)
    time.sleep(600)
"""


def test_a_step_that_fails_or_hangs_stops_no_other(tmp_path, monkeypatch):
    """Each keeps its rows and its sentence; who comes too late is left out."""
    (tmp_path / "odd.py").write_text(_ODD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    steps = [
        Step(name=name, seconds=seconds, runs=f"odd:{name}", needs=())
        for name, seconds in (("raises", 60), ("hangs", 3), ("holds", 60))
    ]
    out = tmp_path / "out"
    run = Run(out, seconds=100.0, device="cpu", archive=None, scratch=tmp_path / "scratch")
    _, *ended = run.everything(steps)
    told = {one.name: (one.state, one.told) for one in ended}
    assert told == {
        "raises": ("failed", "AssertionError: one thing differs"),
        "hangs": ("cut off", "after 3 s; so far"),
        "holds": ("ok", "it holds"),
    }
    for name in ("raises", "hangs"):
        assert (out / f"{name}.jsonl").read_text() == '{"number": 1}\n'
    assert "line 9, in raises" in (out / "raises.log").read_text()
    late = Run(out, seconds=0.0, device="cpu", archive=None, scratch=tmp_path / "scratch")
    assert {one.state for one in late.everything(steps)} == {"left out"}


def test_results_are_copied_without_checkpoints(tmp_path):
    """Files that are new or changed, none that is half written."""
    source, target = tmp_path / "source", tmp_path / "target"
    for name in ("trials/a.parquet", ".lock", "work/a/checkpoint.pt"):
        path = source / "s/p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    copy_new(source, target)
    assert [str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()] == [
        "s/p/trials/a.parquet"
    ]
    (source / "s/p/trials/a.parquet").write_text("longer than it was before")
    copy_new(source, target)
    assert (target / "s/p/trials/a.parquet").read_text() == "longer than it was before"


def test_predictions_are_those_of_the_page():
    """A value stands beside its range, and says by how much it lies outside."""
    what = "medium bf16 K=16 zaremba2014"
    assert predictions()[what] == (11.0, 18.0)
    assert beside(what, 12.0) == f"{what}: 12, predicted 11 to 18"
    assert beside(what, 36.0).endswith("predicted 11 to 18: 2.00 of the most")
    assert beside("another", 1.0) == "another: 1"


def test_the_page_names_every_check():
    """And the studies that are run are there."""
    page = (Path(ROOT) / "benchmarks/gpu/README.md").read_text()
    assert [each.name for each in CHECKS if f"`{each.name}`" not in page] == []
    assert set(LISTS) == {"check", "parts", "study"}
    for each in (*CHECKS, *STUDIES):
        if isinstance(each.runs, tuple):
            given = dict(zip(each.runs[1::2], each.runs[2::2], strict=True))
            assert find_study(given["--study"])[0].profiles[given["--profile"]].strategies


def test_what_was_kept_of_a_run_is_told(tmp_path):
    """A step's rows and how it ended; perplexities of the lines that `ablate run` prints."""
    (tmp_path / "machine.jsonl").write_text('{"gpu": "H100"}\n')
    (tmp_path / "masks.jsonl").write_text('{"golden": 61}\n{"told": "equal"}\n')
    (tmp_path / "masks.json").write_text(
        '{"step": "masks", "state": "ok", "seconds": 3.5, "told": "equal", "why": null}'
    )
    assert documents.kept(tmp_path) == {
        "machine": [{"gpu": "H100"}],
        "steps": {
            "masks": {
                "state": "ok",
                "seconds": 3.5,
                "told": "equal",
                "rows": [{"golden": 61}, {"told": "equal"}],
            }
        },
    }
    said = (
        "17:33:19 [0/12] none, seed 1: started on cuda:0, 16 thread(s)\n"
        "17:33:19 [0/12] output .25, seed 2: epoch 12/13, perplexity train 193.3 valid 189.2, 2 s\n"
    )
    (row,) = documents.curves(said).to_dict("records")
    assert row == {"label": "output .25", "seed": 2, "epoch": 12, "train": 193.3, "valid": 189.2}


def test_tables_stand_in_the_pages():
    """Each that is made is shown, and committed as it is made."""
    page = (documents.FOLDER / "README.md").read_text()
    for path, content in documents.tables().items():
        assert path.read_bytes() == content
        assert f"<!-- evidence: {path.name} -->\n{content.decode()}<!-- end -->" in page
