"""Where trials run: in this process, or in one spawned process a slot."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from ablate.errors import AblateError
from ablate.strategies.plugins import PluginFile
from ablate.study.events import Emit, Failed, Finished, Pull, Slot, Task, Train
from ablate.study.worker import READY, attempt, work

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE: Final = 10.0  # seconds that a worker has to end by itself


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs one task after the other in this very process, within a debugger's reach."""

    train: Train
    slot: Slot

    def run(self, pull: Pull, emit: Emit) -> None:
        """See `Executor`."""
        while task := pull():
            attempt(self.train, task, self.slot, emit)


@dataclass(slots=True)
class _Worker:
    """A spawned process and what it is doing."""

    slot: Slot
    process: BaseProcess
    connection: Connection
    task: Task
    ready: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """Runs one spawned process a slot; a process that dies takes only its own task with it.

    Each process loads the `plugins` first, since a task's placement may hold what they define.
    """

    train: Train
    slots: tuple[Slot, ...]
    plugins: tuple[PluginFile, ...] = ()

    def run(self, pull: Pull, emit: Emit) -> None:
        """See `Executor`. Raises AblateError where a worker does not even start."""
        workers: dict[Connection, _Worker] = {}

        def hire(slot: Slot) -> None:
            if task := pull():
                worker = _start(self.train, slot, self.plugins, task)
                workers[worker.connection] = worker

        try:
            for slot in self.slots:
                hire(slot)
            while workers:
                ready = wait(list(workers))
                for worker in [workers[one] for one in workers if one in ready]:
                    if not _attend(worker, pull, emit):
                        _stop(workers.pop(worker.connection))
                        hire(worker.slot)
        finally:
            for worker in workers.values():
                worker.process.terminate()
            for worker in workers.values():
                _stop(worker)


def _attend(worker: _Worker, pull: Pull, emit: Emit) -> bool:
    """Take one message of a worker; return whether it has something left to do."""
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        worker.process.join()
        if not worker.ready:
            raise AblateError(
                f"a worker process ended while it started ({_ending(worker.process)}); what it "
                "printed above says why, and --slots 0 runs in this process"
            ) from None
        emit(Failed(worker.task, f"its worker died ({_ending(worker.process)})", died=True))
        return False
    if isinstance(message, AblateError):
        raise message
    if message == READY:
        worker.ready = True
        return True
    emit(message)
    if not isinstance(message, Finished | Failed):
        return True
    following = pull()
    if following is None:
        return False
    worker.task = following
    _send(worker.connection, following)
    return True


def _send(connection: Connection, task: Task) -> None:
    # A worker that died just now is found at the end of its connection, with this task in hand.
    with contextlib.suppress(OSError):
        connection.send(task)


def _start(train: Train, slot: Slot, plugins: tuple[PluginFile, ...], task: Task) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, slot, train, plugins), daemon=True)
    with _threads_in_environment(slot.threads), _interrupts_held_back():
        process.start()
    # Ours must be the only end on this side, or the worker's death would not end the connection.
    theirs.close()
    _send(ours, task)
    return _Worker(slot, process, ours, task)


def _stop(worker: _Worker) -> None:
    """End a worker: it leaves by itself at the end of its connection, or it is made to."""
    worker.connection.close()
    worker.process.join(_PATIENCE)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
    worker.process.close()


def _ending(process: BaseProcess) -> str:
    code = process.exitcode or 0
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _threads_in_environment(threads: int) -> Iterator[None]:
    """Let a process that is started here have `threads` threads before it imports anything."""
    wanted = dict.fromkeys(_THREADS, str(threads)) | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start a process that never sees Ctrl-C, which a terminal sends to all: the driver decides."""
    # Started first, because it resets the mask of whoever starts it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
