"""The real training of a cohort of tasks: what a worker runs unless it is given something else."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ablate.data import Corpus, load_corpus
from ablate.data.text import Text
from ablate.errors import AblateError
from ablate.study.events import EpochDone, Finished, Row, Slot, Task


def train_tasks(
    tasks: Sequence[Task], slot: Slot, emit: Callable[[EpochDone | Finished], None]
) -> None:
    """Train a cohort on the slot, each task from its checkpoint; see `Train`.

    Raises AblateError where a corpus is not the one that its cell was enumerated with.
    """
    # Not at the top: the number of threads must stand in the environment before torch is there.
    import torch

    from ablate.training.arithmetic import settle
    from ablate.training.loop import Member, Outcome, train_cohort

    torch.set_num_threads(slot.threads)
    settle(slot.device)
    by_key = {task.cell.key: task for task in tasks}

    def on_epoch(member: Member, row: Row) -> None:
        emit(EpochDone(by_key[member.cell.key], row))

    def on_outcome(member: Member, ended: Outcome) -> None:
        task = by_key[member.cell.key]
        emit(Finished(task, ended.status, ended.trial, ended.epochs, ended.tokens))

    train_cohort(
        [Member(task.cell, task.folder) for task in tasks],
        # Of the first task alone: those of one cohort agree in the digest.
        _corpus_of(tasks[0]),
        on_epoch=on_epoch,
        on_outcome=on_outcome,
        device=slot.device,
    )


def _corpus_of(task: Task) -> Corpus:
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
