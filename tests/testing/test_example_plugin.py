"""The example package: installed as its users would, found by a process that knows its folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "example_plugin"


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy of the package's source, and the folder into which it was installed."""
    source, site = (tmp_path_factory.mktemp("plugin") / name for name in ("source", "site"))
    # A build leaves files beside its source.
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, *offline, str(source)], check=True, cwd=source.parent)
    return source, site


def _python(example, *arguments):
    """Run Python where the installed package is on the path; its output, with what went wrong."""
    source, site = example
    environment = os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ablate(example, *arguments):
    return _python(example, "-c", "from ablate.cli import main; main()", *arguments)


def test_an_installed_strategy_is_listed_with_its_origin(example):
    """Name and version of the package stand beside the strategy."""
    entry = _ablate(example, "strategies").partition("\nsandwich\n")[2]
    assert entry.split("\n")[0].strip().startswith("Drop much of what enters the stack")
    assert "origin: sandwich-dropout 0.3.1" in " ".join(entry.split())


def test_an_installed_strategy_is_explained(example):
    """Its noise and its schedule, with the digest of their source, are shown."""
    shown = _ablate(example, "explain", "sandwich", "--set", "noise=uniform")
    assert "UNIFORM" in shown
    assert "INTERLAYER" in shown


@pytest.mark.slow
def test_an_installed_plugin_keeps_the_contracts(example):
    """Its own tests, which subclass the shipped contracts, pass in a process of their own."""
    told = _python(example, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert " passed" in told
