"""The real training of one task: what a worker runs unless it is given something else."""

import functools
from collections.abc import Callable

from ablate.data import Corpus, load_corpus
from ablate.errors import AblateError
from ablate.study.events import Finished, Row, Slot, Task


def train_task(task: Task, slot: Slot, on_epoch: Callable[[Row], None]) -> Finished:
    """Train the task's cell on the slot, from its checkpoint where there is one; see `Train`.

    Raises AblateError where the corpus is not the one that the cell was enumerated with.
    """
    # Not at the top: the number of threads must stand in the environment before torch is there.
    import torch

    from ablate.training.loop import train

    torch.set_num_threads(slot.threads)
    corpus = _corpus(task.cell.corpus)
    if corpus.digest != task.cell.corpus_digest:
        raise AblateError(
            f"corpus '{task.cell.corpus}' changed since this run began: its digest is "
            f"{corpus.digest[:12]} and was {task.cell.corpus_digest[:12]}; start the run again"
        )
    outcome = train(task.cell, corpus, folder=task.folder, on_epoch=on_epoch, device=slot.device)
    return Finished(task, outcome.status, outcome.trial, outcome.epochs, outcome.tokens)


@functools.cache
def _corpus(spec: str) -> Corpus:
    return load_corpus(spec)
