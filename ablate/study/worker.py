"""What runs in a worker's process: take a task, train it, send events, until the driver is gone."""

import contextlib
import multiprocessing
import os
import threading
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from ablate.errors import AblateError
from ablate.strategies.plugins import PluginFile, load_same
from ablate.study.events import Epoch, Event, Failed, Noted, Slot, Started, Task, Train

READY: Final = "ready"


def work(
    connection: Connection, slot: Slot, train: Train, plugins: tuple[PluginFile, ...] = ()
) -> None:
    """Train each task that arrives; return at the end of the connection.

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
            attempt(train, connection.recv(), slot, send)


def attempt(train: Train, task: Task, slot: Slot, emit: Callable[[Event], Any]) -> None:
    """Run one task to its last event; an exception of the training becomes that event."""
    emit(Started(task, slot))
    try:
        ended = train(task, slot, lambda row: emit(Epoch(task, row)))
    except AblateError as error:
        ended = Failed(task, str(error), died=False)
    except Exception:
        ended = Failed(task, traceback.format_exc().strip(), died=False)
    emit(ended)


def _leave_with_driver() -> None:
    """End this process at once when its driver ends, in whatever way, and in mid-epoch too."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)
