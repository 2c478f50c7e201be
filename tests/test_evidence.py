"""What is committed of measured results is what their tables say today."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_every_page_table_and_figure_follows_from_the_committed_tables():
    """`make evidence` would change nothing."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "results/reference/evidence.py"), "--check"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")},
    )
    assert ran.returncode == 0, f"`make evidence` would change\n{ran.stdout}{ran.stderr}"
