"""What a run shows while it runs: a live table on a terminal, one plain line an event elsewhere."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ablate.quantities import duration, perplexity, perplexity_text
from ablate.status import Status
from ablate.store.under_way import remove_progress, write_progress
from ablate.study.board import Board, Running, under_way
from ablate.study.events import (
    Compiling,
    EpochDone,
    Event,
    Failed,
    Finished,
    Noted,
    Paused,
    Progressed,
    Row,
    Started,
)

# The heading, the bar, and the lines that a terminal scrolls by.
_OTHER_LINES: Final = 4
_FEWEST_ROWS: Final = 4
# Seconds between two writes of what is under way, and without a line where there is no terminal.
_BETWEEN_WRITES: Final = 2.0
_SILENCE: Final = 60.0


class Progress:
    """Shows a run's events on a console; `with progress.shown():` goes around the run.

    Where it has the store's `folder`, it keeps what is under way there, for `ablate status`.
    """

    def __init__(self, console: Console, board: Board, folder: Path | None = None) -> None:
        self._console, self.board, self._folder = console, board, folder
        self._noted: set[str] = set()
        self._said = time.monotonic()
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While this is entered, a terminal shows the live table, and silence is broken."""
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        with self._live if self._console.is_terminal else nullcontext():
            beat.start()
            try:
                yield
            finally:
                ended.set()
                beat.join()
                if self._folder is not None:
                    remove_progress(self._folder)

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(_BETWEEN_WRITES):
            self.keep()

    def keep(self) -> None:
        """Write what is under way, and say it where nothing was said for a minute."""
        if self._folder is not None:
            write_progress(self._folder, under_way(self.board))
        if not self._console.is_terminal and time.monotonic() - self._said >= _SILENCE:
            self.say(self.summary())

    def show(self, event: Event) -> None:
        """Take one event in. On a terminal the table tells of epochs, and lines of the rest."""
        self.board.take(event)
        match event:
            case Noted(text):
                # Every worker of one machine warns of the same things.
                self._say_once(text)
            case Compiling((first, *others), what) if not self._console.is_terminal:
                names = self.board.names[first] + (f" and {len(others)} more" if others else "")
                self._say_once(f"compiling {what}", f", for {names}")
            case Progressed() | Compiling():
                pass
            case Started() | EpochDone() if self._console.is_terminal:
                pass
            case _:
                name = self.board.names[event.assignment.trial.key]
                self.say(f"{self._counted()} {name}: {describe(event)}")

    def _say_once(self, text: str, more: str = "") -> None:
        if text not in self._noted:
            self.say(f"{text}{more}")
        self._noted.add(text)

    def say(self, line: str) -> None:
        """Print one line of prose."""
        self._said = time.monotonic()
        say(self._console, line)

    def summary(self) -> str:
        """What is under way, how far, and about how long it takes, in a line."""
        board = self.board
        running, left = list(board.running.values()), board.left()
        if not running:
            return f"{self._counted()} no trial is under way yet"
        first = running[0]
        stage = f"{first.name}, epoch {first.epoch()}"
        if first.compiling:
            stage += f", compiling {first.compiling}"
        more = f"; {len(running) - 1} more, epochs {_span(running[1:])}" if running[1:] else ""
        ahead = "" if left is None else f"; about {_duration(left)} left"
        return f"{self._counted()} under way: {stage}{more}{ahead}"

    def _counted(self) -> str:
        return f"[{self.board.done}/{self.board.all}]"

    def table(self) -> Group:
        """The live table: one row for each running trial, as many as fit, and the run below."""
        board = self.board
        trials = Table(box=None, pad_edge=False, header_style="dim")
        trials.add_column("trial")
        for heading in ("epoch", "train ppl", "valid ppl", "left"):
            trials.add_column(heading, justify="right")
        running = list(board.running.values())
        fitting = max(_FEWEST_ROWS, self._console.height - _OTHER_LINES)
        # One line less where it is needed to say how many are not shown.
        shown = running if len(running) <= fitting else running[: fitting - 1]
        for trial, left in zip(shown, board.left_of(shown), strict=True):
            row = trial.row or {}
            trials.add_row(
                trial.name + (f" (compiling {trial.compiling})" if trial.compiling else ""),
                trial.epoch(),
                _perplexity(row, "train_nll"),
                _perplexity(row, "valid_nll"),
                _duration(left),
            )
        if hidden := running[len(shown) :]:
            trials.add_row(f"and {len(hidden)} more", _span(hidden))
        overall = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, board.all), completed=board.done, width=40)
        left = board.left()
        ahead = _duration(board.elapsed())
        ahead += "" if left is None else f", about {_duration(left)} left"
        overall.add_row(bar, f"{board.done}/{board.all} trials", ahead)
        return Group(trials, overall)


def say(console: Console, line: str) -> None:
    """Print one line of a run, with the time of day where no live table shows that time passes."""
    clock = "" if console.is_terminal else time.strftime("%H:%M:%S ")
    console.print(clock + line, markup=False, highlight=False, soft_wrap=True)


def describe(event: Started | EpochDone | Finished | Paused | Failed) -> str:
    """What happened, in a phrase."""
    match event:
        case Started(assignment, slot):
            again = f", attempt {assignment.attempt}" if assignment.attempt > 1 else ""
            return f"started on {slot.device}, {slot.threads} thread(s){again}"
        case EpochDone(assignment, row):
            return (
                f"epoch {row['epoch']}/{assignment.trial.recipe.epochs}, perplexity train "
                f"{_perplexity(row, 'train_nll')} valid {_perplexity(row, 'valid_nll')}, "
                f"{_duration(row.get('seconds'))}"
            )
        case Finished(_, Status.OK, row):
            at = row["headline"]
            return (
                f"finished in {_duration(row.get('seconds'))}, perplexity valid "
                f"{_perplexity(row, f'valid_nll_{at}')} test {_perplexity(row, f'test_nll_{at}')}"
            )
        case Finished(_, status, _, epochs):
            return f"{status} in epoch {len(epochs)}"
        case Paused(_, _, epochs):
            return f"waits at its rung, epoch {len(epochs)}"
        case Failed(_, error, _, company):
            together = f" beside {company - 1} other(s), is tried alone" if company > 1 else ""
            return f"failed{together}: {error.splitlines()[-1]}"


def _span(trials: list[Running]) -> str:
    """The finished epochs of these trials, the fewest and the most."""
    epochs = sorted({trial.done for trial in trials})
    return f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{epochs[0]}"


def _perplexity(row: Row, column: str) -> str:
    """The perplexity of an nll (nats per target), or a dash."""
    nll = row.get(column)
    return "-" if nll is None or math.isnan(nll) else perplexity_text(perplexity(nll))


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
