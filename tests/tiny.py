"""A study of three trials that take a second, and the commands that run it in this process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from click.testing import CliRunner, Result

from ablate.cli import main
from ablate.data.toy import generate_toy

# Values are as TOML writes them.
PROFILE: Final[Mapping[str, object]] = {
    "net": "{layers = 1, hidden = 4}",
    "precision": '"fp32"',
    "seeds": 1,
    "strategies": '[{name = "none"}, {name = "zaremba2014", rate = [0.25, 0.5]}]',
}
RECIPE: Final[Mapping[str, object]] = {
    "unroll": 10,
    "batch": 10,
    "learning_rate": 1.0,
    "epochs": 2,
    "hold": 2,
    "divide": 2.0,
    "clip": 5.0,
    "init": 0.1,
}


def ablate(*arguments: object) -> Result:
    """Run one command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(study: Path, *arguments: object) -> Result:
    """`ablate run` of a study file, on this process's CPU, with results beside the file."""
    where = ("--results", study.parent / "results", "--device", "cpu", "--slots", 0)
    return ablate("run", "--study", study, *where, *arguments)


def write_study(folder: Path) -> Path:
    """A study of three trials of a few updates each."""
    text = write_texts(folder / "text")
    return write_file(folder / "tiny.toml", text, head='baseline = "none"')


def write_texts(folder: Path, train: int = 60, others: int = 60) -> Path:
    """A corpus of so many sentences a split."""
    folder.mkdir(parents=True)
    for split, text in generate_toy().items():
        sentences = text.splitlines(keepends=True)[: train if split == "train" else others]
        (folder / f"{split}.txt").write_text("".join(sentences))
    return folder


def write_file(
    path: Path,
    corpus: object,
    *,
    head: str = "",
    recipe: Mapping[str, object] | None = None,
    **profile: object,
) -> Path:
    """A study file with a corpus, and with these keys of its profile and its recipe."""
    profiles, recipes = {**PROFILE, **profile}, {**RECIPE, **(recipe or {})}
    lines = [
        *('question = "Does dropout help?"', head, "", "[profiles.quick]", f'corpus = "{corpus}"'),
        *(f"{key} = {value}" for key, value in profiles.items()),
        *("", "[profiles.quick.recipe]"),
        *(f"{key} = {value}" for key, value in recipes.items()),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
