"""The site that `make docs` builds: whole, without a network, and open to keyboard and ear."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from browser import Browser, find_browser
from snippets import ROOT

FOUND = find_browser()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs the extra `docs`"),
]

# A page of each kind: home with its figure, commands and a table, tables wider than a telephone,
# Python, equations, links whose text is code, options.
PAGES = (
    "index.html",
    "guide/running.html",
    "guide/your-model.html",
    "guide/cells.html",
    "guide/reviewers.html",
    "evidence/bugs.html",
    "reference/commands.html",
    "reference/objects.html",
)

WIDTHS = (390, 1280)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; a page that is missing, or a link into nothing, would end its making."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if FOUND is None:
        pytest.skip("no Chromium or Chrome on the path")
    found = Browser(FOUND, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def test_the_site_is_read_without_a_network(site: Path):
    """No script, style or font comes from elsewhere."""
    html = {path.relative_to(site).as_posix(): path for path in site.rglob("*.html")}
    assert {"index.html", "reference/objects.html", "why/engine.html"} <= set(html)
    for name, path in html.items():
        loaded = re.findall(
            r"<(?:script|link|img)[^>]* (?:src|href)=\"?([^\" >]*)", path.read_text()
        )
        assert not [each for each in loaded if "//" in each], name


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_nothing(browser: Browser, site: Path, page: str, width: int, dark: bool):
    """Contrast, names, landmarks, and boxes that scroll and take no focus."""
    axe = files(pytest.importorskip("axe_core_python").__name__) / "axe.min.js"
    browser.show(width, dark=dark)
    browser.open(site / page)
    browser.eval(axe.read_text(encoding="utf-8"))
    found = json.loads(browser.eval("axe.run().then((f) => JSON.stringify(f))"))
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    wrong = {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
    assert wrong == {}


def test_what_scrolls_takes_the_focus_and_nothing_else_does(browser: Browser, site: Path):
    """Long lines of code and a figure do in a narrow window, and do not in a wide one."""
    counts = []
    browser.show(WIDTHS[0])
    browser.open(site / "index.html")
    boxes = "[...document.querySelectorAll('.md-typeset pre > code, .md-typeset p')]"
    frame = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))"
    for width in WIDTHS:
        browser.show(width)
        browser.eval(frame)
        scroll, take = (
            browser.eval(f"{boxes}.filter((box) => {which}).length")
            for which in ("box.scrollWidth > box.clientWidth", "box.tabIndex === 0")
        )
        assert take == scroll
        counts.append(take)
    assert counts[0] > counts[1] == 0
