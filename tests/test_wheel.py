"""The wheel has everything: built from a copy, unpacked, and used from outside of the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("ablate", "studies", "pyproject.toml", "setup.py", "README.md", "LICENSE")
NOT_SHIPPED = (".md", ".pyc")

# One process for all of it: torch alone takes seconds to import.
USE = """
import importlib, pkgutil, sys
from pathlib import Path
import ablate
from ablate.cli import main

assert Path(ablate.__file__).is_relative_to(sys.argv[1]), ablate.__file__
for module in pkgutil.walk_packages(ablate.__path__, "ablate."):
    importlib.import_module(module.name)
for line in ("studies", "explain gal2016", "audit none --layers 1 --page page.html"):
    print("$", line)
    main(line.split(), standalone_mode=False)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that holds what the wheel holds."""
    source, built, site = (tmp_path_factory.mktemp("wheel") / name for name in "abc")
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, source / part, ignore=ignore)
        else:
            shutil.copy(ROOT / part, source / part)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built)]
    subprocess.run([*pip, *offline, str(source)], check=True, cwd=source.parent)
    (wheel,) = built.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_a_wheel_has_every_file_of_the_package(site):
    """Modules, templates, styles and studies: no list of them is kept by hand."""
    for folder, inside in (("ablate", "ablate"), ("studies", "ablate/shipped")):
        wanted = {
            str(Path(inside, path.relative_to(ROOT / folder)))
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix not in NOT_SHIPPED
        }
        assert wanted
        assert wanted <= {str(path.relative_to(site)) for path in site.rglob("*")}


@pytest.mark.slow
def test_what_a_wheel_holds_works_elsewhere(site, tmp_path):
    """Every module can be imported; studies, pictures and templates are found."""
    environment = os.environ | {
        "PYTHONPATH": str(site),
        "ABLATE_COMPILE": "0",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", USE, str(site)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("gal2016", "RECURRENT", "the module does what the placement says"):
        assert words in done.stdout
    assert "</html>" in (tmp_path / "page.html").read_text(encoding="utf-8")
