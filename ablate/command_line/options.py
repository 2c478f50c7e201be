"""Options that several commands have, and what they read and write."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ablate.errors import AblateError

RESULTS = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    metavar="DIR",
    help="Folder of the results.",
)
PLUGINS = click.option(
    "--plugin",
    "plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A Python file with strategies of your own; may be given several times.",
)
SETTINGS = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="An argument of the strategy, as in rate=.5; may be given several times.",
)


class Finite(click.FloatRange):
    """A number in a range; what is no number is in none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


def listed(example: str) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, ...]]:
    """What reads the value of an option as names between commas; none where it is not given."""

    def read(ctx: click.Context, option: click.Parameter, given: str | None) -> tuple[str, ...]:
        names = tuple(name for name in map(str.strip, (given or "").split(",")) if name)
        if given is not None and not names:
            raise AblateError(
                f"{option.opts[0]} takes names such as {example}, got '{given}'", given=given
            )
        return names

    return read


def check_folder(option: str, file: Path | None) -> None:
    """Raise AblateError, before any work, where a file has no folder to be written into."""
    if file is not None and not file.parent.is_dir():
        raise AblateError(f"{option} {file}: there is no folder '{file.parent}'; make it first")


def write(option: str, file: Path, text: str) -> None:
    """Write what an option asks for; AblateError where the system refuses it."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AblateError(f"{option} {file} cannot be written: {error.strerror}") from error


def load_plugins(plugins: Iterable[Path]) -> None:
    """Load the strategies of plugin files."""
    from ablate.strategies.plugins import load_file

    for path in plugins:
        load_file(path)
