"""Equal results make equal reports, whatever the environment and the user's own settings are."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from written_stores import QUICK, write_study

from ablate.report import build

ODD = """
text.usetex: True
font.family: No Such Font, serif
savefig.dpi: 31
figure.dpi: 33
savefig.bbox: tight
svg.fonttype: path
axes.formatter.use_locale: True
lines.linestyle: --
savefig.transparent: True
figure.facecolor: red
path.sketch: 1, 100, 2
xtick.minor.visible: True
backend: TkAgg
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def digests(results: Path) -> dict[str, str]:
    [folder] = results.glob("*/*/report")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reported(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, str]]:
    """A results folder and what its report is in this process."""
    results = tmp_path_factory.mktemp("environment") / "results"
    write_study(results, points=QUICK[:2], seeds=1)
    build(results)
    return results, digests(results)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "configuration"),
    [
        pytest.param(
            {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
            "",
            id="in a notebook",
        ),
        pytest.param({"MPLBACKEND": "nonsense", **ASCII}, "", id="no such backend, in ASCII"),
        pytest.param({"MPLBACKEND": ""}, ODD, id="a matplotlibrc of one's own"),
        pytest.param({}, b"font.family: caf\xe9\n", id="a matplotlibrc that is not UTF-8"),
    ],
)
def test_a_report_is_the_same_in_every_environment(
    environment: dict[str, str],
    configuration: str | bytes,
    reported: tuple[Path, dict[str, str]],
    tmp_path: Path,
):
    """The command ends well, prints no traceback, and its files have the very bytes."""
    results, expected = reported
    if configuration:
        text = configuration.encode() if isinstance(configuration, str) else configuration
        (tmp_path / "matplotlibrc").write_bytes(text)
    code = "import sys, pathlib; from ablate.report import build; build(pathlib.Path(sys.argv[1]))"
    ran = subprocess.run(
        [sys.executable, "-c", code, str(results)],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "findfont" not in ran.stderr
    assert digests(results) == expected


@pytest.mark.parametrize(("asked", "left"), [("svg", "svg"), ("nonsense", "agg")])
def test_the_backend_is_left_to_the_process(asked: str, left: str):
    """After a report pyplot still has the backend that the environment names, where there is one,
    and children inherit the name."""
    code = (
        "import os, ablate.report, matplotlib; "
        "print(matplotlib.rcParams['backend'], os.environ['MPLBACKEND'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MPLBACKEND": asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [left, asked]
