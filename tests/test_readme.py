"""Every snippet and every command of README and `docs/` is one that works."""

import os
import sys
import tomllib
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from snippets import DOCUMENTS, ROOT, Block, blocks, files, inline_commands, shell_lines

from ablate.cells import CELLS
from ablate.cli import main
from ablate.store import Store
from ablate.strategies.plugins import load_file
from ablate.study.changes import change, read_settings, select
from ablate.study.file import find_study, parse_study
from ablate.study.points import distinct

SHOWN = [block for page in DOCUMENTS for block in blocks(page, "python")]
TABLES = [block for page in DOCUMENTS for block in blocks(page, "toml")]
# Commands that answer at once.
QUICK = ("studies", "strategies", "explain", "cite")


def _place(block: Block) -> str:
    return f"{block.page.stem}-{block.name or block.text.split(maxsplit=1)[0]}"


@pytest.fixture
def folder(tmp_path, monkeypatch, own_strategies):
    """A working directory with every file that the pages show."""
    files(tmp_path)
    for split in ("train", "valid", "test"):
        text = tmp_path / "my-text" / f"{split}.txt"
        text.parent.mkdir(exist_ok=True)
        text.write_text("a word and another word\n" * 20)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with CELLS.isolated():
        yield tmp_path


@pytest.mark.parametrize("block", SHOWN, ids=_place)
def test_python_runs(block, folder, monkeypatch):
    """A block by itself, as it is copied into a file; what is under `__main__` is left out."""
    if "ablate.results(" in block.text:
        _store_of_placement(folder)
    for shown in SHOWN:
        if shown.page == block.page and shown.name and shown is not block:
            monkeypatch.setitem(sys.modules, Path(shown.name).stem, _run(shown, monkeypatch))
    _run(block, monkeypatch)


def _run(block: Block, monkeypatch) -> types.ModuleType:
    path = Path(block.name or f"shown_{abs(hash(block.text))}.py")
    path.write_text(block.text, encoding="utf-8")
    module = types.ModuleType(path.stem)
    module.__file__ = str(path.resolve())
    monkeypatch.setitem(sys.modules, path.stem, module)
    exec(compile(block.text, module.__file__, "exec"), vars(module))
    return module


def _store_of_placement(folder: Path) -> None:
    """Two trials of study `placement`, as a reference run has them."""
    sys.path.insert(0, str(ROOT / "results/reference"))
    try:
        import store as reference_store
    finally:
        sys.path.pop(0)
    kept = ROOT / "results/reference/placement-tenth"
    rows = reference_store._rows(kept, "trials")[:2]
    cells = reference_store._rows(kept, "cells")
    written = Store.of(folder / "results", "placement", "quick")
    written.write_cells([cell for cell in cells if cell["key"] in {row["key"] for row in rows}])
    for row in rows:
        written.write(row, [], tokens={})


@pytest.mark.parametrize("block", TABLES, ids=_place)
def test_toml_is_a_study_file_or_a_part_of_one(block, folder):
    """Read by the schema: a whole file, the keys at its top, or those of a profile."""
    table = tomllib.loads(block.text)
    if "project" in table:
        assert table["project"]["entry-points"]["ablate.strategies"] == {"sandwich": "sandwich"}
        return
    whole = {
        "question": "?",
        "plugins": table.pop("plugins", []),
        "profiles": table.pop("profiles", None),
    }
    if whole["profiles"] is None:
        own = {"corpus": "toy", "preset": "zaremba-small", "seeds": 1} | table
        own |= (
            {} if "factorial" in own else {"strategies": own.get("strategies", [{"name": "none"}])}
        )
        if "tune" in own:
            del own["seeds"]
        whole["profiles"] = {"quick": own}
    study = parse_study(
        whole | table if block.name else whole, name="shown", where="what is shown", folder=folder
    )
    assert study.profile("quick").points


def test_the_study_that_is_shown_asks_for_what_it_says(folder):
    """The plugin's strategy among ours, at its rates."""
    study, _ = find_study("mine.toml")
    labels = [point.label for point in distinct(study.profile().strategies)]
    assert labels == ["none", "zaremba2014 .5", "sandwich .1", "sandwich .3"]


def _parsed(words: list[str], *, whole: bool) -> click.Context | None:
    """What click reads of a command without `ablate`; None where a needed option is left out."""
    assert words[0] in main.commands, words[0]
    try:
        return main.commands[words[0]].make_context(words[0], list(words[1:]))
    except click.MissingParameter:
        if whole:
            raise
        return None


def _check_script(words: list[str]) -> None:
    if words[0] == "-m":
        top = words[1].partition(".")[0]
        assert top in ("venv", "pip", "pytest", "mkdocs") or (ROOT / "benchmarks" / top).is_dir(), (
            words
        )
    else:
        assert (ROOT / words[0]).exists() or (ROOT / "results/reference" / words[0]).exists(), words


def _check(context: click.Context) -> None:
    """What click does not know: names of studies, profiles, strategies, settings."""
    given = context.params
    for plugin in given.get("plugins", ()):
        load_file(Path(plugin))
    # A letter alone stands for a name.
    if given.get("study") and len(given["study"]) > 1:
        study, _ = find_study(given["study"])
        profile = given["profile"] or study.default_profile
        if len(profile) > 1 and profile != "NAME":
            study.profile(profile)
            changes = read_settings(given.get("settings", ()))
            seeds = {"seeds": given["seeds"]} if given.get("seeds") else {}
            chosen = change(study, profile, changes | seeds, fit=False).profile(profile)
            if given.get("strategies"):
                select(chosen, given["strategies"].split(","))


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            tuple(words[1:])
            for page in DOCUMENTS
            for words in (*inline_commands(page), *shell_lines(page))
            # NAME stands for a name; `cite` alone is a command's, not what is typed.
            if Path(words[0]).name == "ablate"
            and words[1] in QUICK
            and "NAME" not in words
            and words[1:] != ["cite"]
        }
    ),
    ids=" ".join,
)
def test_quick_commands_run(command, folder):
    """Those that train nothing, beside the files that the pages show."""
    ran = CliRunner().invoke(main, list(command), env=dict(os.environ, COLUMNS="80"))
    assert ran.exit_code == 0, ran.output
    assert ran.output
