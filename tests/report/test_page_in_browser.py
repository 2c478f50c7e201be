"""The page in headless Chromium: its console, its width, how it is read aloud and sorted."""

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_browser
from tuned_stores import GAL, NONE, ZAREMBA, write_tuned
from written_stores import QUICK, Point, write_study

from ablate.report import build

FOUND = find_browser()

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium or Chrome on the path")

WIDTHS = (360, 390, 768, 1440)

# Type of 7.5 points in a figure, in pixels; below nine its letters run together.
SMALLEST = 9.0

UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true })"
# The hint that a box scrolls is a gradient, on which axe decides no contrast.
PLAIN = "document.querySelectorAll('.scroll').forEach((one) => { one.style.background = 'none' })"
LABELS = "[...document.querySelectorAll('table.ablation')][0].tBodies[0].rows"
SHOWN = f"[...{LABELS}].filter((row) => row.offsetHeight).map((row) => row.cells[0].dataset.sort)"
ORDER = f"[...{LABELS}].map((row) => row.cells[0].dataset.sort)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    assert FOUND is not None
    found = Browser(FOUND, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A study with all that a page may have, by the name of its profile; and a tuned one."""
    folder = tmp_path_factory.mktemp("pages")
    points = (*QUICK[:5], Point("gal2016", {"vertical": 0.123, "recurrent": 0.456}, 90, 240))
    unknown = {"valid_unknown": 906}
    write_study(
        folder, seeds=3, points=points, diverged=((2, 1),), failed=((3, 1),), pending=((4, 3),),
        unasked=("gal2016 .123",), also=unknown,
    )  # fmt: skip
    write_tuned(folder, (NONE, ZAREMBA, GAL), baseline="none")
    return {report.profile: report.page for report in build(folder)}


@pytest.fixture(params=["quick", "tuned"])
def page(request: pytest.FixtureRequest, pages: dict[str, Path]) -> Path:
    return pages[request.param]


def test_nothing_is_said_and_nothing_is_asked_for(browser: Browser, page: Path):
    """No message in the console, no exception, and no request but for the page itself."""
    browser.show(1440)
    browser.open(page)
    assert browser.eval("document.querySelectorAll('thead th button').length") > 0
    assert browser.complaints == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(browser: Browser, page: Path, width: int):
    """Tables, figures and text to copy scroll in boxes of their own, folded or not."""
    browser.show(width)
    browser.open(page)
    for unfold in ("0", UNFOLD):
        browser.eval(unfold)
        assert browser.eval("document.documentElement.scrollWidth") <= width
        assert browser.eval("document.body.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser: Browser, page: Path, width: int, dark: bool):
    """Contrast, names, roles and order of headings, with all that is folded opened."""
    axe = files(pytest.importorskip("axe_core_python").__name__) / "axe.min.js"
    browser.show(width, dark=dark)
    browser.open(page)
    browser.eval(UNFOLD)
    browser.eval(PLAIN)
    browser.eval(axe.read_text(encoding="utf-8"))
    found: dict[str, Any] = json.loads(browser.eval("axe.run().then((f) => JSON.stringify(f))"))
    assert "color-contrast" in {rule["id"] for rule in found["passes"]}
    wrong = {
        rule["id"]: [node["html"][:200] for node in rule["nodes"]] for rule in found["violations"]
    }
    assert wrong == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_figures_can_be_read(browser: Browser, page: Path, width: int):
    """Their smallest type has nine pixels or more, on a telephone too."""
    browser.show(width)
    browser.open(page)
    sizes = browser.eval(
        "[...document.querySelectorAll('figure svg')].map("
        "(svg) => 7.5 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"
    )
    assert len(sizes) >= 5
    assert min(sizes) >= SMALLEST


def test_contents_stand_at_the_side_and_fold_on_a_narrow_screen(browser: Browser, page: Path):
    """Beside the text where there is room; above it, folded, where there is none."""
    side = "document.querySelector('.contents').getBoundingClientRect().right"
    listed = "document.querySelector('.contents > ol').offsetHeight"
    browser.show(1440)
    browser.open(page)
    assert browser.eval(side) <= browser.eval("document.querySelector('main').offsetLeft")
    assert browser.eval(listed) > 0
    browser.show(390)
    assert browser.eval(listed) == 0
    browser.eval("document.querySelector('.contents summary').click()")
    assert browser.eval(listed) > 0


def _head(name: str) -> str:
    return (
        "[...document.querySelectorAll('table.ablation')][0].querySelectorAll('thead button')"
        f".values().find((head) => head.textContent.startsWith('{name}'))"
    )


@pytest.mark.parametrize("key", ["mouse", "Enter", " "], ids=["mouse", "enter", "space"])
def test_a_head_sorts_up_down_and_back(browser: Browser, pages: dict[str, Path], key: str):
    """By mouse and by keyboard, numbers as numbers; the head says which way."""
    browser.show(1440)
    browser.open(pages["quick"])
    study = browser.eval(ORDER)
    seen = []
    for _ in range(3):
        if key == "mouse":
            browser.eval(f"{_head('train')}.click()")
        else:
            browser.eval(f"{_head('train')}.focus()")
            browser.press(key, {"Enter": "\r", " ": " "}[key])
        sort = browser.eval(f"{_head('train')}.closest('th').getAttribute('aria-sort')")
        seen.append((sort, browser.eval(ORDER)))
    (up, rising), (down, falling), (none, back) = seen
    assert (up, down, none) == ("ascending", "descending", None)
    assert rising[:3] == ["none", "zaremba2014", "zaremba2014"]
    assert falling == [*reversed(rising)]
    assert back == study


def test_what_has_no_number_stands_last_both_ways(browser: Browser, pages: dict[str, Path]):
    """The baseline has no difference to itself, and is neither the lowest nor the highest."""
    browser.show(1440)
    browser.open(pages["quick"])
    for _ in range(2):
        browser.eval(f"{_head('valid difference')}.click()")
        assert browser.eval(ORDER)[-1] == "none"


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_the_best_of_each_sweep_alone(browser: Browser, pages: dict[str, Path], scripts: bool):
    """A choice of rows that needs no script; the page without any is whole."""
    browser.show(1440)
    browser.open(pages["quick"], scripts=scripts)
    assert bool(browser.eval("document.querySelectorAll('button').length")) == scripts
    every = browser.eval(SHOWN)
    browser.eval("document.querySelector('.only').click()")
    best = browser.eval(SHOWN)
    assert every == ["none", "zaremba2014", "zaremba2014", "zaremba2014", "locked"]
    assert best == ["none", "zaremba2014", "locked"]


def test_a_table_can_be_copied(browser: Browser, pages: dict[str, Path]):
    """The button says what became of it, and what is to be copied is selected."""
    browser.show(1440)
    browser.open(pages["quick"])
    browser.eval(UNFOLD)
    browser.eval("document.querySelector('.copies button').click()")
    said = "document.querySelector('.copies [role=status]').textContent"
    for _ in range(50):
        if browser.eval(said):
            break
    assert browser.eval(said) in ("Copied", "Selected")
    text = browser.eval("getSelection().toString()")
    assert text.startswith("% \\usepackage{booktabs}\n\\begin{table}[t]")
    table = pages["quick"].parent / browser.eval(
        "[...document.querySelectorAll('.files a')].find((a) => a.textContent === 'LaTeX')"
        ".getAttribute('href')"
    )
    assert text.strip() == table.read_text().strip()
