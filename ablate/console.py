"""How commands speak and how they end: lines, lists, and one sentence with an exit code."""

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ablate import terminal
from ablate.docstrings import docstring
from ablate.errors import AblateError, AblateWarning

if TYPE_CHECKING:
    from rich.console import Console

_STOPPED: Final = "stopped"
_STOPPED_RUN: Final = (
    "stopped: every finished trial is stored, and those under way keep their last saved epoch; "
    "the same command goes on from there"
)


class Refusal(click.ClickException):
    """A user's mistake: one message, exit code 2, no traceback."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        say_error(f"ablate: {self.format_message()}")


class Stopped(click.ClickException):
    """Ctrl-C: one sentence, and the exit code that shells give it."""

    exit_code = 130

    def show(self, file: Any = None) -> None:
        say_error(f"ablate: {self.format_message()}")


class Terminated(Stopped):
    """SIGTERM, which a queue sends where a job's time is over, and `timeout` and `kill` do."""

    exit_code = 143


class _Signal(KeyboardInterrupt):
    """SIGTERM, where it was heard."""


class Commands(click.Group):
    """A group whose commands end in one sentence, whatever a user or a system does to them.

    An AblateError, or a file that the system refuses, is a `Refusal`, Ctrl-C is `Stopped` and
    SIGTERM `Terminated`, from the first import on.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        terminal.prepare()
        with _terminated():
            return super().main(*args, **extra)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with one_sentence():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with one_sentence(ctx):
            return super().invoke(ctx)


def command(function: Callable[..., Any]) -> click.Command:
    """A command whose help is its docstring, under `python -OO` too."""
    return click.command(help=docstring(function))(function)


@contextmanager
def one_sentence(ctx: click.Context | None = None) -> Iterator[None]:
    """Let what ends a command be one sentence; a closed pipe is click's, which says nothing."""
    try:
        yield
    except AblateError as error:
        raise Refusal(str(error)) from error
    except OSError as error:
        if error.errno == errno.EPIPE or error.strerror is None:
            raise
        where = "standard output" if error.filename is None else error.filename
        raise Refusal(f"{where}: {error.strerror}") from error
    except (KeyboardInterrupt, click.Abort) as error:
        running = ctx is not None and ctx.invoked_subcommand == "run"
        stopped = Terminated if isinstance(error, _Signal) else Stopped
        raise stopped(_STOPPED_RUN if running else _STOPPED) from None


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM raise where Ctrl-C would, unless whoever calls has a way of their own with it."""

    def heard(*_: object) -> None:
        raise _Signal

    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def say_error(line: str) -> None:
    """Say what is under way, apart from what a command prints."""
    click.echo(line, file=sys.stderr)


def print_text(text: str, end: str = "\n") -> None:
    """Print text as it is.

    To the stream itself: left to find it, click writes UTF-8 where a terminal asks for ASCII.
    """
    click.echo(f"{text}{end}", file=sys.stdout, nl=False)


def open_pages(pages: Iterable[Path]) -> bool:
    """Open pages in the default browser; False where there is none, or no screen to show it on.

    Without a screen some systems would start a browser inside the terminal, or none without a word.
    """
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
        return False
    return not any([click.launch(str(page.absolute())) for page in pages])


def say_warnings() -> Callable[[], None]:
    """Let ablate's own warnings be printed as sentences; return what undoes that."""
    before = warnings.formatwarning

    def formatted(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if issubclass(category, AblateWarning):
            return f"ablate: {message}\n"
        return before(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    return lambda: setattr(warnings, "formatwarning", before)


def new_console(*, quiet: bool = False) -> "Console":
    """Where a command prints; rich is imported by those that print with it alone."""
    from rich.console import Console

    return Console(highlight=False, quiet=quiet)


def say(console: "Console", lines: Iterable[str]) -> None:
    """Print lines of prose, which a terminal breaks where it ends."""
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def entry(console: "Console", name: str, summary: str, **facts: str | None) -> None:
    """One entry of a list: its name, its sentence, and the facts that it has."""
    from rich.padding import Padding
    from rich.text import Text

    known = "; ".join(f"{fact}: {value}" for fact, value in facts.items() if value)
    console.print(Text(name, style="bold"))
    for line in (Text(summary), Text(known, style="dim")):
        console.print(Padding(line, (0, 0, 0, 4), expand=False))
