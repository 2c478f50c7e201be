"""The real training of a cohort: what a worker runs unless it is given something else."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablate.data import Corpus, load_corpus
from ablate.data.text import Text
from ablate.errors import AblateError
from ablate.study.events import Assignment, EpochDone, Finished, Row, Slot

if TYPE_CHECKING:
    from ablate.training.trial import Trial


def train_tasks(
    assignments: Sequence[Assignment], slot: Slot, emit: Callable[[EpochDone | Finished], None]
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
        emit(Finished(assignment, ended.status, ended.columns, ended.epochs, ended.tokens))

    train_cohort(
        [Member(assignment.trial, assignment.folder) for assignment in assignments],
        # Of the first assignment alone: those of one cohort agree in the digest.
        _corpus_of(assignments[0].trial),
        on_epoch=on_epoch,
        on_outcome=on_outcome,
        device=slot.device,
    )


def _corpus_of(trial: "Trial") -> Corpus:
    corpus = _corpus(trial.corpus, trial.folder, trial.text)
    if corpus.digest != trial.corpus_digest:
        raise AblateError(
            f"corpus '{trial.corpus}' changed since this run began: its digest is "
            f"{corpus.digest[:12]} and was {trial.corpus_digest[:12]}; start the run again"
        )
    return corpus


@functools.cache
def _corpus(name: str, folder: Path | None, text: Text) -> Corpus:
    # By its absolute folder: a relative one may have begun at the study's file.
    return replace(load_corpus(name if folder is None else str(folder), text), name=name)
