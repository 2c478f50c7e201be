"""Where study files lie, and the name under which the results of each are kept."""

import os
import tomllib
from pathlib import Path


def is_path(study: str) -> bool:
    """Whether `study` is the path of a file, there or not: it ends with `.toml` or has a folder.

    Any other word is a name, whatever files the working folder has.
    """
    separators = (os.sep, os.altsep or os.sep)
    return Path(study).suffix == ".toml" or any(separator in study for separator in separators)


def file_of(study: str) -> Path | None:
    """The file that `study` is the path of; None for a name, and where no file is there."""
    return Path(study) if is_path(study) and os.path.isfile(study) else None


def name_of(study: str) -> str:
    """Return the name under which a study's results are: `mine` of `mine` or `folder/mine.toml`."""
    path = Path(study)
    return path.stem if path.suffix == ".toml" or file_of(study) else study


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
    path = file_of(name) or all_studies().get(name)
    try:
        question = tomllib.loads(path.read_text(encoding="utf-8")).get("question") if path else None
    except (OSError, ValueError):
        return None
    return question if isinstance(question, str) else None
