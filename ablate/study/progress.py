"""What a run shows while it runs: a live table on a terminal, one plain line an event elsewhere."""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ablate.quantities import duration, perplexity, perplexity_text
from ablate.status import Status
from ablate.study.events import EpochDone, Event, Failed, Finished, Noted, Row, Started

# The heading, the bar, and the lines that a terminal scrolls by.
_OTHER_LINES: Final = 4
_FEWEST_ROWS: Final = 4


@dataclass(slots=True)
class Running:
    """A trial under way; `row` is its last finished epoch, which took `wall` seconds by the clock.

    In a cohort an epoch's `seconds`, the trial's share, are fewer than that.
    """

    name: str
    epochs: int
    since: float
    row: Row | None = None
    wall: float = 0.0

    @property
    def epoch(self) -> int:
        """The epochs that are finished."""
        return self.row["epoch"] if self.row else 0

    def left(self, now: float | None = None) -> float | None:
        """Seconds to its end, from its last epoch's; None before the first one ended."""
        now = time.monotonic() if now is None else now
        if not self.wall:
            return None
        return max(0.0, (self.epochs - self.epoch) * self.wall - (now - self.since))

    def share(self) -> float:
        """The part of each second that is its own, its companions having the rest."""
        seconds = self.row.get("seconds") if self.row else None
        return min(1.0, seconds / self.wall) if seconds and self.wall else 1.0


@dataclass(slots=True)
class Board:
    """Counts and running trials; `names` maps a key to the words under which it is shown."""

    names: dict[str, str]
    total: int
    done: int
    slots: int
    running: dict[str, Running] = field(default_factory=dict)
    failed: int = 0
    spent: list[float] = field(default_factory=list)
    began: float = field(default_factory=lambda: time.monotonic())

    def elapsed(self, now: float | None = None) -> float:
        """Seconds since the run began."""
        return (time.monotonic() if now is None else now) - self.began

    def take(self, event: Event, now: float | None = None) -> None:
        """Bring the board up to this event."""
        now = time.monotonic() if now is None else now
        match event:
            case Started(assignment):
                name = self.names[assignment.trial.key]
                self.running[assignment.trial.key] = Running(
                    name, assignment.trial.recipe.epochs, now
                )
            case EpochDone(assignment, row):
                trial = self.running[assignment.trial.key]
                trial.row, trial.wall, trial.since = row, now - trial.since, now
            case Finished(assignment, _, row):
                self.running.pop(assignment.trial.key, None)
                self.done += 1
                self.spent.append(row.get("seconds") or 0.0)
            case Failed(assignment):
                self.running.pop(assignment.trial.key, None)
                self.failed += 1

    def left(self, now: float | None = None) -> float | None:
        """Seconds to the end of the run, by the mean of the trials that ended in it.

        Each trial counts with its share of its cohort's time, and the slots share the sum.
        """
        now = time.monotonic() if now is None else now
        # A copy: a terminal asks from another thread while events come in.
        running = list(self.running.values())
        ahead = [(trial.left(now), trial.share()) for trial in running]
        known = [seconds * share for seconds, share in ahead if seconds is not None]
        waiting = self.total - self.done - len(running)
        if self.spent:
            typical = sum(self.spent) / len(self.spent)
        else:
            full = [t.wall * t.share() * t.epochs for t in running if t.row]
            if not full:
                return None
            typical = sum(full) / len(full)
        unknown = (len(ahead) - len(known) + waiting) * typical
        return (sum(known) + unknown) / max(1, self.slots)


class Progress:
    """Shows a run's events on a console; `with progress.shown():` goes around the run."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console, self.board = console, board
        self._noted: set[str] = set()
        self._live = Live(get_renderable=self.table, console=console, refresh_per_second=2)

    def shown(self) -> AbstractContextManager[object]:
        """While this is entered, a terminal shows the live table."""
        return self._live if self._console.is_terminal else nullcontext()

    def show(self, event: Event) -> None:
        """Take one event in. On a terminal the table tells of epochs, and lines of the rest."""
        self.board.take(event)
        if isinstance(event, Noted):
            # Every worker of one machine warns of the same things.
            if event.text not in self._noted:
                self.say(event.text)
            self._noted.add(event.text)
        elif not (self._console.is_terminal and isinstance(event, Started | EpochDone)):
            done, total = self.board.done, self.board.total
            name = self.board.names[event.assignment.trial.key]
            self.say(f"[{done}/{total}] {name}: {describe(event)}")

    def say(self, line: str) -> None:
        """Print one line of prose."""
        say(self._console, line)

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
        for trial in shown:
            row = trial.row or {}
            trials.add_row(
                trial.name,
                f"{trial.epoch}/{trial.epochs}",
                _perplexity(row, "train_nll"),
                _perplexity(row, "valid_nll"),
                _duration(trial.left()),
            )
        if hidden := running[len(shown) :]:
            epochs = sorted({trial.epoch for trial in hidden})
            span = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else f"{epochs[0]}"
            trials.add_row(f"and {len(hidden)} more", span)
        overall = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, board.total), completed=board.done, width=40)
        left = board.left()
        ahead = _duration(board.elapsed())
        ahead += "" if left is None else f", about {_duration(left)} left"
        overall.add_row(bar, f"{board.done}/{board.total} trials", ahead)
        return Group(trials, overall)


def say(console: Console, line: str) -> None:
    """Print one line of a run, with the time of day where no live table shows that time passes."""
    clock = "" if console.is_terminal else time.strftime("%H:%M:%S ")
    console.print(clock + line, markup=False, highlight=False, soft_wrap=True)


def describe(event: Started | EpochDone | Finished | Failed) -> str:
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
        case Failed(_, error, _, company):
            together = f" beside {company - 1} other(s), is tried alone" if company > 1 else ""
            return f"failed{together}: {error.splitlines()[-1]}"


def _perplexity(row: Row, column: str) -> str:
    """The perplexity of an nll (nats per target), or a dash."""
    nll = row.get(column)
    return "-" if nll is None or math.isnan(nll) else perplexity_text(perplexity(nll))


def _duration(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
