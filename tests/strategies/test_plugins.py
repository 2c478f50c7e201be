"""Plugins in a file: loaded once under one name, whole or not at all, mistakes in a sentence."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies import get, names, plugins
from ablate.strategies.plugins import load_file, load_same

HEAD = """
from ablate.drops import Drop
from ablate.edges import Edge
from ablate.placement import Placement
from ablate.strategies import Rate, strategy
"""
MINE = f"""{HEAD}
@strategy(dial="rate")
def mine(rate: Rate = 0.2) -> Placement:
    "Drop what is written."
    return Placement({{Edge.UPDATE: Drop(rate)}})
"""
NOISE = """
from dataclasses import dataclass
from ablate.noise import Noise
from ablate.schedules import Schedule


@dataclass(frozen=True)
class Doubled(Noise):
    name: str = "DOUBLED"
    shift: float = 0.5

    def mean(self, rate):
        return 1.0

    def variance(self, rate):
        return 0.0

    def multiplier(self, word, rate):
        return word.double() * 0.0 + 1.0


@dataclass(frozen=True)
class Late(Schedule):
    name: str = "LATE"

    def factor(self, update, total):
        return float(2 * update >= total)


@strategy()
def noisy(shift: bool = False) -> Placement:
    "Multiply by one, late."
    noise = Doubled(shift=1.5 if shift else 0.5)
    return Placement({Edge.OUTPUT: Drop(0.5, noise=noise)}, Late())
"""


pytestmark = pytest.mark.usefixtures("own_strategies")


def write(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_brings_its_strategies(tmp_path):
    """After ours, with file and digest as their origin."""
    found = load_file(write(tmp_path, MINE))
    assert names()[-1] == "mine"
    assert get("mine").place() == Placement({Edge.UPDATE: Drop(0.2)})
    assert get("mine").origin == get("mine").plugin == found.text
    assert found.text == f"mine.py {found.digest}"
    assert len(found.digest) == 8
    assert get("naive").plugin is None


def test_a_file_is_loaded_once(tmp_path):
    """By any way to write its path down, until it changes."""
    path = write(tmp_path, MINE)
    first = load_file(path)
    function = get("mine").function
    (tmp_path / "sub").mkdir()
    assert load_file(tmp_path / "sub" / ".." / "mine.py") == first
    assert get("mine").function is function
    path.write_text(MINE.replace("0.2", "0.3").replace("mine(", "other("))
    changed = load_file(path)
    assert (changed.module, changed.path) == (first.module, first.path)
    assert changed.digest != first.digest
    assert get("other").arguments() == {"rate": 0.3}
    assert "mine" not in names()


def test_two_files_of_one_name_are_two_modules(tmp_path):
    """The folder tells them apart, and their strategies must differ."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = load_file(write(tmp_path / "a", MINE))
    other = load_file(write(tmp_path / "b", MINE.replace("mine", "yours")))
    assert one.module != other.module
    assert {"mine", "yours"} <= set(names())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("def f(:", " (line 1): SyntaxError: invalid syntax", id="syntax"),
        pytest.param(
            "\n\nx = 1 / 0", " (line 3): ZeroDivisionError: division by zero", id="raises"
        ),
        pytest.param(
            "import no_such_module_here",
            " (line 1): ModuleNotFoundError: No module named 'no_such_module_here'",
            id="import",
        ),
        pytest.param("import sys\nsys.exit(3)", " (line 2): SystemExit: 3", id="exits"),
        pytest.param(
            MINE.replace("mine(", "naive("),
            " (line 7): two strategies are called 'naive', one of {ablate} and one of mine.py "
            "{digest}; rename one of them",
            id="taken-name",
        ),
        pytest.param(
            MINE + MINE.replace("Drop(rate)", "Drop(rate / 2)"),
            "",
            id="twice",
        ),
        pytest.param(
            MINE.replace('    "Drop what is written."\n', ""),
            " (line 7): strategy 'mine' needs a docstring: its first line is its help",
            id="no-docstring",
        ),
    ],
)
def test_a_broken_file_is_named_with_line_and_reason(tmp_path, text, words, refused):
    """The error's class stands before another's words, and ours are a sentence by themselves."""
    path, before = write(tmp_path, text), names()
    with refused():
        load_file(path)
    expected = words.replace("{ablate}", get("naive").origin)
    expected = expected.replace("{digest}", plugins.digest(path.read_bytes()))
    assert names() == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            "Drop(2 * rate)",
            id="refused",
        ),
        pytest.param(
            "Drop(rate / 0)",
            id="raises",
        ),
    ],
)
def test_a_strategy_that_fails_is_named_with_file_and_line(tmp_path, body, refused):
    """When it is called, too, whoever wrote it is shown the place."""
    load_file(write(tmp_path, MINE.replace("Drop(rate)", body)))
    with refused():
        get("mine").place(rate=0.6)


def test_half_a_plugin_is_none(tmp_path, refused):
    """What a file registered before it broke does not stay, nor does its module."""
    path, before = write(tmp_path, MINE + "\nraise RuntimeError('later')\n"), set(sys.modules)
    with refused():
        load_file(path)
    assert "mine" not in names()
    assert not [name for name in set(sys.modules) - before if name.startswith("ablate_plugin")]
    path.write_text(MINE)
    load_file(path)
    assert "mine" in names()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: None, id="missing"),
        pytest.param(
            lambda path: path.mkdir(),
            id="folder",
        ),
        pytest.param(
            lambda path: path.write_text("import os\n"),
            id="no-strategy",
        ),
    ],
)
def test_a_file_that_is_no_plugin_is_refused(tmp_path, make, refused):
    """A path that leads nowhere, and a file in which the decorator was forgotten."""
    path = tmp_path / "mine.py"
    make(path)
    with refused():
        load_file(path)


def test_a_worker_refuses_a_file_that_changed(tmp_path, refused):
    """What the driver loaded and what a worker would load are compared by digest."""
    path = write(tmp_path, MINE)
    found = load_file(path)
    load_same(found)
    path.write_text(MINE + "\n")
    with refused():
        load_same(found)


def test_a_files_noise_and_schedule_are_known_by_their_source(tmp_path):
    """Digest and fields stand in the text; one character of the file more is another placement."""
    path = write(tmp_path, HEAD + NOISE)
    digest = load_file(path).digest
    plain, shifted = get("noisy").place(), get("noisy").place(shift=True)
    assert plain.text == (
        f"OUTPUT(0.5;time=1,batch=1,unit=1,update=1;ZERO;DOUBLED#{digest},shift=0.5;TRAIN)"
        f" @ LATE#{digest}"
    )
    assert plain == get("noisy").place()
    assert plain != shifted
    assert len({plain, shifted, get("noisy").place()}) == 2
    path.write_text(HEAD + NOISE + "#")
    load_file(path)
    assert get("noisy").place() != plain
    assert get("noisy").place().text == plain.text.replace(digest, load_file(path).digest)


def test_a_files_noise_travels_to_another_process(tmp_path):
    """A process that has loaded the file reads the placement; the module's name is the same."""
    path = write(tmp_path, HEAD + NOISE)
    load_file(path)
    placement = get("noisy").place()
    script = (
        "import pickle, sys; from pathlib import Path\n"
        "from ablate.strategies.plugins import load_file\n"
        "load_file(Path(sys.argv[1]))\n"
        "print(pickle.load(sys.stdin.buffer).text)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], input=pickle.dumps(placement), stdout=-1, check=True
    )
    assert done.stdout.decode().strip() == placement.text


def test_an_installed_package_goes_before_a_file(tmp_path, monkeypatch, refused):
    """Where both have a name it is the file's mistake, since the file was named just now."""
    site = tmp_path / "site"
    (site / "boxed-1.5.dist-info").mkdir(parents=True)
    (site / "boxed-1.5.dist-info" / "METADATA").write_text("Name: boxed\nVersion: 1.5\n")
    (site / "boxed-1.5.dist-info" / "entry_points.txt").write_text(
        "[ablate.strategies]\nboxed = boxed_strategies\n"
    )
    (site / "boxed_strategies.py").write_text(MINE)
    monkeypatch.syspath_prepend(site)
    try:
        with refused():
            load_file(write(tmp_path, MINE))
        assert get("mine").plugin == "boxed 1.5"
    finally:
        sys.modules.pop("boxed_strategies", None)
