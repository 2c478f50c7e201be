"""What runs in a worker's process: take a cohort, train it, send events, while the driver lives."""

import contextlib
import functools
import math
import multiprocessing
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ablate.compiling import telling
from ablate.data import Corpus, load_corpus
from ablate.data.text import Text
from ablate.errors import AblateError, AblateWarning, printable
from ablate.status import Status
from ablate.strategies.plugins import PluginFile, load_same
from ablate.study.events import (
    Assignment,
    Compiling,
    EpochDone,
    Event,
    Failed,
    Finished,
    Noted,
    Paused,
    Progressed,
    Row,
    Slot,
    Started,
    Told,
    Train,
)

if TYPE_CHECKING:
    from ablate.training.trial import Trial

#: What a worker says besides events: it has started; its cohort has ended and it waits for another.
READY: Final = "ready"
IDLE: Final = "idle"

# Seconds between two reports of how far an epoch is.
_BETWEEN: Final = 1.0


def work(
    connection: Connection, slot: Slot, train: Train, plugins: tuple[PluginFile, ...] = ()
) -> None:
    """Train each cohort that arrives; return at the end of the connection.

    A plugin that is not what the driver loaded is sent as the error that ends the run.
    """
    threading.Thread(target=_leave_with_driver, daemon=True).start()
    one_at_a_time = threading.Lock()

    def send(message: Event | AblateError | str) -> None:
        # A warning may come from another thread, and two messages must not run into each other.
        with one_at_a_time:
            connection.send(message)

    def forward(message: Warning | str, category: type[Warning], *_: Any) -> None:
        own = issubclass(category, AblateWarning)
        send(Noted(f"{message}" if own else f"{category.__name__}: {message}"))

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
            send(IDLE)


def attempt(
    train: Train, assignments: Sequence[Assignment], slot: Slot, emit: Callable[[Event], Any]
) -> None:
    """Run a cohort to the last event of each of its trials.

    An exception of the training becomes that event for all that had not ended. What `emit` raises
    is the caller's own.
    """
    held = {assignment.trial.key: assignment for assignment in assignments}
    outside: list[BaseException] = []

    def tell(event: Told) -> None:
        if isinstance(event, Finished | Paused):
            del held[event.assignment.trial.key]
        try:
            emit(event)
        except BaseException as error:
            outside.append(error)
            raise

    for assignment in assignments:
        emit(Started(assignment, slot))
    try:
        train(assignments, slot, tell)
    except Exception as error:
        if outside:
            raise
        whole = isinstance(error, AblateError)
        words = printable(str(error) if whole else traceback.format_exc().strip())
        for assignment in held.values():
            emit(Failed(assignment, words, died=False, company=len(held)))


def train_assignments(
    assignments: Sequence[Assignment], slot: Slot, emit: Callable[[Told], None]
) -> None:
    """Train a cohort on the slot, each trial from its checkpoint; see `Train`.

    Raises AblateError where a corpus is not the one that its trial was enumerated with.
    """
    # Not at the top: the number of threads must stand in the environment before torch is there.
    import torch

    from ablate.training.arithmetic import settle
    from ablate.training.loop import Member, Outcome, train_cohort

    torch.set_num_threads(slot.threads)
    settle(slot.device)
    by_key = {assignment.trial.key: assignment for assignment in assignments}

    def on_epoch(member: Member, row: Row) -> None:
        emit(EpochDone(by_key[member.trial.key], row))

    def on_outcome(member: Member, ended: Outcome) -> None:
        assignment = by_key[member.trial.key]
        if ended.status == Status.PRUNED:
            emit(Paused(assignment, ended.columns, ended.epochs))
            return
        emit(Finished(assignment, ended.status, ended.columns, ended.epochs, ended.tokens))

    with telling(lambda what: emit(Compiling(tuple(by_key), what))):
        train_cohort(
            [Member(each.trial, each.folder, each.until) for each in assignments],
            # Of the first assignment alone: those of one cohort agree in the digest.
            _corpus_of(assignments[0].trial),
            on_epoch=on_epoch,
            on_outcome=on_outcome,
            on_share=sparingly(emit),
            device=slot.device,
        )


def sparingly(
    emit: Callable[[Progressed], None], clock: Callable[[], float] = time.monotonic
) -> Callable[[Mapping[str, int], float], None]:
    """What `train_cohort` calls after each update: it tells of the first, and of one a second."""
    told = -math.inf

    def on_share(epochs: Mapping[str, int], share: float) -> None:
        nonlocal told
        now = clock()
        if now - told >= _BETWEEN:
            told = now
            emit(Progressed(epochs, share))

    return on_share


def _leave_with_driver() -> None:
    """End this process at once when its driver ends, in whatever way, and in mid-epoch too."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)


def _corpus_of(trial: "Trial") -> Corpus:
    named = trial.corpus, trial.folder, trial.text
    corpus = _corpus(*named)
    if corpus.digest != trial.corpus_digest:
        # An earlier run in this process may have read the text before it was edited.
        _corpus.cache_clear()
        corpus = _corpus(*named)
    if corpus.digest != trial.corpus_digest:
        raise AblateError(
            f"corpus '{trial.corpus}' changed since this run began: its digest is "
            f"{corpus.digest[:12]} and was {trial.corpus_digest[:12]}; start the run again",
            given=corpus.digest,
            allowed=trial.corpus_digest,
        )
    return corpus


@functools.cache
def _corpus(name: str, folder: Path | None, text: Text) -> Corpus:
    # By its absolute folder: a relative one may have begun at the study's file.
    return replace(load_corpus(name if folder is None else str(folder), text), name=name)
