"""Study files: where they are found, and how they are read.

question = "Where should dropout be placed?"
baseline = "none"                   # a label or a strategy's name; a profile may have its own
plugins = ["mine.py"]               # files of strategies of your own, relative to this file

[profiles.quick]
corpus = "ptb-tenth"                # a built-in name or the path of a folder
preset = "zaremba-small"            # fills net and recipe
recipe.epochs = 8                   # a key of one's own goes before the preset's
seeds = 2                           # the seeds 1 and 2; or a list of them
strategies = [
    {name = "none"},
    {name = "zaremba2014", rate = [0.25, 0.5]},     # a list is a grid
]
"""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from ablate.errors import AblateError, did_you_mean
from ablate.study.parse import Study, parse_study


def find_study(name: str) -> tuple[Study, Path]:
    """Return the study that `name` means, and its file.

    `name` is the path of a file, or else NAME of `./studies/NAME.toml`, or else that of a shipped
    study. Raises AblateError where there is none, and where the file has mistakes.
    """
    known, path = all_studies(), Path(name)
    if os.path.isfile(path):
        return read_study(path), path
    if name not in known:
        what = "there is no study file" if path.suffix == ".toml" else "no study is called"
        raise AblateError(
            f"{what} '{name}'{did_you_mean(path.stem, known)}; there are "
            f"{', '.join(sorted(known))}, and any other is the path of a TOML file"
        )
    return read_study(known[name]), known[name]


def name_of(study: str) -> str:
    """Return the name under which a study's results are: `mine` of `mine` or `folder/mine.toml`."""
    path = Path(study)
    return path.stem if path.suffix == ".toml" or os.path.isfile(path) else study


def all_studies() -> dict[str, Path]:
    """Return every study that a name alone finds; one in `./studies` hides a shipped one."""
    return {
        path.stem: path
        for folder in (shipped_folder(), Path("studies"))
        for path in sorted(folder.glob("*.toml"))
    }


def is_shipped(path: Path) -> bool:
    """Return whether the file at `path` is one of the studies that come with ablate."""
    return path.resolve().parent == shipped_folder().resolve()


def shipped_folder() -> Path:
    """Return the folder of the shipped studies: in the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "shipped"
    return shipped if shipped.is_dir() else package.parent / "studies"


def find_question(name: str) -> str | None:
    """Return the question of the study that `name` means, loading none of its plugins.

    None where there is no such file, or none that can be read.
    """
    path = Path(name) if os.path.isfile(name) else all_studies().get(name)
    try:
        question = _read_table(path).get("question") if path else None
    except AblateError:
        return None
    return question if isinstance(question, str) else None


def read_study(path: Path) -> Study:
    """Read and check a study file, and load its plugins.

    Raises AblateError that names every mistake in it.
    """
    table, where = _read_table(path), f"the study file {path}"
    return parse_study(table, name=path.stem, where=where, folder=path.parent)


def _read_table(path: Path) -> dict[str, Any]:
    where, text = f"the study file {path}", ""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise AblateError(f"{where} is not text: byte {error.start} is not UTF-8") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AblateError(f"{where} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        point = _about_point(text, error)
        raise AblateError(f"{where} is not valid TOML: {error}{point}") from None


def _about_point(text: str, error: tomllib.TOMLDecodeError) -> str:
    """What to write where TOML stumbled over a number that begins with its point."""
    at = re.search(r"line (\d+), column (\d+)", str(error))
    if at is None:
        return ""
    line, column = map(int, at.groups())
    number = re.match(r"[+-]?(\.\d+)", text.split("\n")[line - 1][column - 1 :])
    return f"; TOML wants 0{number[1]} for {number[1]}" if number else ""
