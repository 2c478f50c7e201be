"""A study of three trials that take a second, and the commands that run it in this process."""

from pathlib import Path

from click.testing import CliRunner, Result

from ablate.cli import main
from ablate.data.toy import generate_toy

STUDY = """
question = "Does dropout help?"
baseline = "none"

[profiles.quick]
corpus = "{text}"
net = {{layers = 1, hidden = 4}}
precision = "fp32"
seeds = 1
strategies = [{{name = "none"}}, {{name = "zaremba2014", rate = [0.25, 0.5]}}]

[profiles.quick.recipe]
unroll = 10
batch = 10
learning_rate = 1.0
epochs = 2
hold = 2
divide = 2.0
clip = 5.0
init = 0.1
"""


def ablate(*arguments: object) -> Result:
    """Run one command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def run(study: Path, *arguments: object) -> Result:
    """`ablate run` of a study file, on this process's CPU, with results beside the file."""
    where = ("--results", study.parent / "results", "--device", "cpu", "--slots", 0)
    return ablate("run", "--study", study, *where, *arguments)


def write_study(folder: Path) -> Path:
    """A study of three trials of a few updates each."""
    text = folder / "text"
    text.mkdir()
    for split, lines in generate_toy().items():
        (text / f"{split}.txt").write_text("".join(lines.splitlines(keepends=True)[:60]))
    study = folder / "tiny.toml"
    study.write_text(STUDY.format(text=text))
    return study
