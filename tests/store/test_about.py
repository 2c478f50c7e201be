"""A store knows the study file that fills it: another file of that name is another study."""

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.store import Store
from ablate.store.about import About

QUESTION = "Where?"
NUMBERS = b'{"question": 1, "path": 2, "digest": 3}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A study file."""
    path = tmp_path / "a" / "mine.toml"
    path.parent.mkdir()
    path.write_text("question = 'Where?'")
    return path


@pytest.fixture
def store(tmp_path: Path, file: Path) -> Store:
    """A store that the study of `file` has filled."""
    store = Store.of(tmp_path / "results", "mine", "quick")
    store.claim(About.of(file, QUESTION))
    return store


def _other(file: Path, text: str = "question = 'How often?'") -> Path:
    path = file.parent.parent / "b" / file.name
    path.parent.mkdir()
    path.write_text(text)
    return path


def _same(file: Path) -> Path:
    return file


def _edited(file: Path) -> Path:
    file.write_text("question = 'Where, again?'")
    return file


def _moved(file: Path) -> Path:
    other = _other(file)
    file.unlink()
    return other


def _copied(file: Path) -> Path:
    return _other(file, file.read_text())


def _edited_and_copied(file: Path) -> Path:
    return _copied(_edited(file))


def _linked(file: Path) -> Path:
    path = file.parent / "other name.toml"
    path.symlink_to(file)
    return _edited(path)


SAME = (_same, _edited, _moved, _copied, _edited_and_copied, _linked)


@pytest.mark.parametrize("act", SAME, ids=lambda act: act.__name__.strip("_"))
def test_one_study_goes_on(store: Store, file: Path, act: Callable[[Path], Path]) -> None:
    """An edited, moved or copied file is the same study, and the store follows it."""
    about = About.of(act(file), "Where now?")
    store.claim(about)
    assert store.about() == about


def test_two_files_of_one_name_are_two_studies(
    store: Store, file: Path, refused: Callable[..., Any]
) -> None:
    """The second one is refused by both paths and the way out; what the store says stays."""
    before = store.about()
    other = _other(file)
    with refused(given=str(other), allowed=str(file)):
        store.claim(About.of(other, "How often?"))
    assert store.about() == before


def test_an_original_that_cannot_be_read_is_as_one_that_is_gone(store: Store, file: Path) -> None:
    """As in a folder that is closed to the reader; here the system has no such name at all."""
    store.write_about(replace(About.of(file, QUESTION), path=f"/{'closed' * 60}/mine.toml"))
    about = About.of(_other(file), QUESTION)
    store.claim(about)
    assert store.about() == about


@pytest.mark.parametrize("order", [(True, False), (False, True)], ids=["shipped", "own"])
def test_an_own_file_is_not_the_shipped_one(
    tmp_path: Path, order: tuple[bool, bool], refused: Callable[..., Any]
) -> None:
    """Whichever was first; also where the shipped one is of an installation that is gone."""
    abouts = []
    for folder, shipped in zip(("a", "b"), order, strict=True):
        path = tmp_path / folder / "smoke.toml"
        path.parent.mkdir()
        path.write_text(folder)
        abouts.append(replace(About.of(path, folder), shipped=shipped))
        if shipped and folder == "a":
            path.unlink()
    store = Store.of(tmp_path, "smoke", "quick")
    store.claim(abouts[0])
    with refused(given=abouts[1].path, allowed=abouts[0].path):
        store.claim(abouts[1])


def test_the_shipped_file_of_another_installation_is_the_same_study(tmp_path: Path) -> None:
    """An update of ablate, or another environment, goes on with its results."""
    store = Store.of(tmp_path, "smoke", "quick")
    for folder in ("3.11", "3.12"):
        path = tmp_path / folder / "smoke.toml"
        path.parent.mkdir()
        path.write_text(folder)
        about = replace(About.of(path, QUESTION), shipped=True)
        store.claim(about)
        assert store.about() == about


@pytest.mark.parametrize("said", [None, b"", b"{", b"[]", b'{"question": 1}', NUMBERS, b"\xff"])
def test_a_store_that_says_nothing_is_claimed(
    tmp_path: Path, file: Path, said: bytes | None
) -> None:
    """A store of an earlier ablate, and one whose file is not readable."""
    store = Store.of(tmp_path / "results", "mine", "quick")
    if said is not None:
        store.folder.mkdir(parents=True)
        (store.folder / "study.json").write_bytes(said)
    assert store.about() is None
    about = About.of(file, QUESTION)
    store.claim(about)
    assert store.about() == about


def test_commands_name_the_study_as_it_is_found(
    store: Store, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that no name finds by its path; one in ./studies and a shipped one by name."""
    results = store.folder.parent.parent
    assert store.command("run") == (
        f"ablate run --study {file} --profile quick --results {results}"
    )
    monkeypatch.chdir(file.parent)
    assert store.command("report").startswith("ablate report --study mine.toml ")
    own = tmp_path / "studies" / "mine.toml"
    own.parent.mkdir()
    shutil.move(file, own)
    monkeypatch.chdir(tmp_path)
    store.claim(About.of(own, QUESTION))
    assert Store.of(Path("results"), "mine", "quick").command("run") == (
        "ablate run --study mine --profile quick"
    )
    store.write_about(replace(About.of(own, QUESTION), shipped=True))
    monkeypatch.chdir("/")
    assert store.command("run").startswith("ablate run --study mine ")


def test_commands_can_be_pasted(tmp_path: Path) -> None:
    """Names with spaces, quotes and signs are quoted for a shell."""
    path = tmp_path / "it's mine; really.toml"
    path.write_text("")
    store = Store.of(tmp_path / "my results", path.stem, "a b")
    store.claim(About.of(path, QUESTION))
    assert shlex.split(store.command("run")) == [
        *("ablate", "run", "--study", str(path), "--profile", "a b"),
        *("--results", str(tmp_path / "my results")),
    ]
