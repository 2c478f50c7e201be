"""Where trials run: in this process, or in one spawned process a slot."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

from ablate.errors import AblateError
from ablate.strategies.plugins import PluginFile
from ablate.study.events import Assignment, Emit, Failed, Finished, Paused, Pull, Slot, Train
from ablate.study.worker import IDLE, READY, attempt, work

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Large tensors on large pages, where the C library knows how: fewer addresses to translate.
_PAGES: Final = ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
_PATIENCE: Final = 10.0  # seconds that a worker has to end


@dataclass(frozen=True, slots=True)
class InProcess:
    """Runs one cohort after the other in this very process, within a debugger's reach."""

    train: Train
    slot: Slot

    def run(self, pull: Pull, emit: Emit) -> None:
        """See `Executor`."""
        while assignments := pull():
            attempt(self.train, assignments, self.slot, emit)


@dataclass(slots=True)
class _Worker:
    """A spawned process and the trials of its cohort that have not ended."""

    slot: Slot
    process: BaseProcess
    connection: Connection
    held: dict[str, Assignment] = field(default_factory=dict)
    ready: bool = False

    def begin(self, assignments: Sequence[Assignment]) -> None:
        """Hand it a cohort."""
        self.held = {assignment.trial.key: assignment for assignment in assignments}
        # A worker that died just now is found at the end of its connection, these trials in hand.
        with contextlib.suppress(OSError):
            self.connection.send(assignments)


@dataclass(frozen=True, slots=True)
class Local:
    """Runs one spawned process a slot; a process that dies takes only its own trials with it.

    Each process loads the `plugins` first, since a placement may hold what they define.
    """

    train: Train
    slots: tuple[Slot, ...]
    plugins: tuple[PluginFile, ...] = ()

    def run(self, pull: Pull, emit: Emit) -> None:
        """See `Executor`. Raises AblateError where a worker does not even start."""
        workers: dict[Connection, _Worker] = {}
        free = list(self.slots)

        def hire() -> None:
            # What failed elsewhere may be handed out again where there was nothing left to do.
            while free and (assignments := pull()):
                worker = _start(self.train, free.pop(0), self.plugins, assignments)
                workers[worker.connection] = worker

        try:
            hire()
            while workers:
                ready = wait(list(workers))
                for worker in [workers[one] for one in workers if one in ready]:
                    if not _attend(worker, pull, emit):
                        _stop(workers.pop(worker.connection))
                        free.append(worker.slot)
                hire()
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
        ending = _ending(worker.process)
        if not worker.ready:
            raise AblateError(
                f"a worker process ended while it started ({ending}); what it printed above says "
                "why, and --slots 0 runs in this process"
            ) from None
        for assignment in worker.held.values():
            died = f"its worker died ({ending})"
            emit(Failed(assignment, died, died=True, company=len(worker.held)))
        return False
    if isinstance(message, AblateError):
        raise message
    if message == READY:
        worker.ready = True
    elif message == IDLE:
        following = pull()
        if not following:
            return False
        worker.begin(following)
    else:
        emit(message)
        if isinstance(message, Finished | Paused | Failed):
            del worker.held[message.assignment.trial.key]
    return True


def _start(
    train: Train, slot: Slot, plugins: tuple[PluginFile, ...], assignments: Sequence[Assignment]
) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, slot, train, plugins), daemon=True)
    with _environment(slot.threads), _interrupts_held_back():
        process.start()
    # Ours must be the only end on this side, or the worker's death would not end the connection.
    theirs.close()
    worker = _Worker(slot, process, ours)
    worker.begin(assignments)
    return worker


def _stop(worker: _Worker) -> None:
    """End a worker: it returns at the end of its connection, or is killed."""
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
def _environment(threads: int) -> Iterator[None]:
    """Let a process that is started here have its threads and pages before it imports anything."""
    wanted = dict.fromkeys(_THREADS, str(threads)) | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    wanted[_PAGES[0]] = os.environ.get(*_PAGES)
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
