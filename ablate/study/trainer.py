"""The real training of a cohort of tasks: what a worker runs unless it is given something else."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ablate.data import Corpus, load_corpus
from ablate.data.text import Text
from ablate.errors import AblateError
from ablate.study.events import Epoch, Finished, Row, Slot, Take, Task


def train_tasks(
    take: Take, places: int, slot: Slot, emit: Callable[[Epoch | Finished], None]
) -> None:
    """Train the tasks that `take` gives on the slot, each from its checkpoint; see `Train`.

    Raises AblateError where a corpus is not the one that its cell was enumerated with.
    """
    # Not at the top: the number of threads must stand in the environment before torch is there.
    import torch

    from ablate.training.loop import Member, Outcome, train_cohort

    torch.set_num_threads(slot.threads)
    first = take()
    if first is None:
        return
    corpus, waiting, tasks = _corpus_of(first), [first], dict[str, Task]()

    def next_member() -> Member | None:
        task = waiting.pop() if waiting else take()
        if task is None:
            return None
        tasks[task.cell.key] = task
        return Member(task.cell, task.folder)

    def on_epoch(member: Member, row: Row) -> None:
        emit(Epoch(tasks[member.cell.key], row))

    def on_outcome(member: Member, ended: Outcome) -> None:
        task = tasks.pop(member.cell.key)
        emit(Finished(task, ended.status, ended.trial, ended.epochs, ended.tokens))

    train_cohort(
        next_member,
        corpus,
        size=places,
        on_epoch=on_epoch,
        on_outcome=on_outcome,
        device=slot.device,
    )


def _corpus_of(task: Task) -> Corpus:
    # Of the first task alone: those of one cohort agree in the digest.
    corpus = _corpus(task.cell.corpus, task.cell.folder, task.cell.text)
    if corpus.digest != task.cell.corpus_digest:
        raise AblateError(
            f"corpus '{task.cell.corpus}' changed since this run began: its digest is "
            f"{corpus.digest[:12]} and was {task.cell.corpus_digest[:12]}; start the run again"
        )
    return corpus


@functools.cache
def _corpus(name: str, folder: Path | None, text: Text) -> Corpus:
    # By its absolute folder: a relative one may have begun at the study's file.
    return replace(load_corpus(name if folder is None else str(folder), text), name=name)
