"""What runs in a worker's process: take tasks, train them, send events, while the driver lives."""

import contextlib
import multiprocessing
import os
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from ablate.errors import AblateError, printable
from ablate.strategies.plugins import PluginFile, load_same
from ablate.study.events import (
    Epoch,
    Event,
    Failed,
    Finished,
    Noted,
    Slot,
    Started,
    Take,
    Task,
    Train,
)

#: What a worker says besides events: it has started; it asks for one task more of its cohort,
#: which is answered by a task or None; it holds none and waits for another cohort.
READY: Final = "ready"
MORE: Final = "more"
IDLE: Final = "idle"


def work(
    connection: Connection, slot: Slot, train: Train, plugins: tuple[PluginFile, ...] = ()
) -> None:
    """Train each cohort whose first tasks arrive; return at the end of the connection.

    A plugin that is not what the driver loaded is sent as the error that ends the run.
    """
    threading.Thread(target=_leave_with_driver, daemon=True).start()
    one_at_a_time = threading.Lock()

    def send(message: Event | AblateError | str) -> None:
        # A warning may come from another thread, and two messages must not run into each other.
        with one_at_a_time:
            connection.send(message)

    def forward(message: Warning | str, category: type[Warning], *_: Any) -> None:
        send(Noted(f"{category.__name__}: {message}"))

    def more() -> Task | None:
        send(MORE)
        return connection.recv()

    warnings.showwarning = forward
    with contextlib.suppress(EOFError, BrokenPipeError):
        try:
            for plugin in plugins:
                load_same(plugin)
        except AblateError as error:
            send(error)
            return
        send(READY)
        while True:
            attempt(train, connection.recv(), more, slot, send)
            send(IDLE)


def attempt(
    train: Train, tasks: Sequence[Task], more: Take, slot: Slot, emit: Callable[[Event], Any]
) -> None:
    """Run a cohort that begins with `tasks` to the last event of each that it takes.

    An exception of the training becomes that event for all that had not ended. What `more` and
    `emit` raise is the caller's own.
    """
    waiting, held = list(tasks), dict[str, Task]()
    outside: list[BaseException] = []

    def ours(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BaseException as error:
            outside.append(error)
            raise

    def take() -> Task | None:
        if waiting:
            task = waiting.pop(0)
        else:
            # A cohort that all have left ends: the next may be of another kind.
            task = ours(more) if held else None
        if task is not None:
            held[task.cell.key] = task
            ours(lambda: emit(Started(task, slot)))
        return task

    def tell(event: Epoch | Finished) -> None:
        if isinstance(event, Finished):
            del held[event.task.cell.key]
        ours(lambda: emit(event))

    try:
        train(take, tasks[0].places, slot, tell)
    except Exception as error:
        if outside:
            raise
        whole = isinstance(error, AblateError)
        words = printable(str(error) if whole else traceback.format_exc().strip())
        failed = [*held.values(), *waiting]
        for task in failed:
            emit(Failed(task, words, died=False, company=len(failed)))


def _leave_with_driver() -> None:
    """End this process at once when its driver ends, in whatever way, and in mid-epoch too."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)
