"""Train the trials of a cohort, from their first epoch or their checkpoints to their results.

A result is a function of its trial. Initial weights and masks are functions of the seed and of
coordinates, and every trial reads the same windows in the order of the text. A resumed trial equals
an uninterrupted one, bit for bit at one thread count. In float32 on the CPU, a trial in a cohort
equals one that was trained alone, bit for bit.
"""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.data.corpora import Corpus
from ablate.data.windows import training_windows
from ablate.errors import AblateError, AblateWarning
from ablate.machine import device_name
from ablate.model.parameters import Parameters, count, initial_parameters, stacked
from ablate.status import Status
from ablate.training import checkpoint as checkpoints
from ablate.training.arithmetic import arithmetic
from ablate.training.checkpoint import Checkpoint, Writer
from ablate.training.cohort import CohortKey, Member, Seat, updates_of
from ablate.training.curve import best_epoch, diverged
from ablate.training.epoch import Sums, Training
from ablate.training.provenance import surroundings
from ablate.training.scores import curve_points, curve_tokens, headlines
from ablate.training.trial import Trial
from ablate.training.update import TrialPlan

__all__ = ["Member", "Outcome", "train", "train_cohort"]

# A token that is trained on costs as much as so many that are evaluated: its backward pass has
# twice the products of its forward pass.
_TRAINED_AS_EVALUATED: Final = 3


def _silent(_: Mapping[str, int], __: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished trial: its columns of `trials`, its rows of `epochs`, its log-probabilities."""

    status: Status
    columns: dict[str, Any]
    epochs: list[dict[str, Any]]
    tokens: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def train(
    trial: Trial,
    corpus: Corpus,
    *,
    folder: Path,
    on_epoch: Callable[[dict[str, Any]], None],
    device: str = "cpu",
) -> Outcome:
    """Train `trial` on `corpus` alone, a cohort of one; see `train_cohort`."""
    outcomes: list[Outcome] = []
    train_cohort(
        [Member(trial, folder)],
        corpus,
        on_epoch=lambda _, row: on_epoch(row),
        on_outcome=lambda _, outcome: outcomes.append(outcome),
        device=device,
    )
    return outcomes[0]


def train_cohort(
    members: Sequence[Member],
    corpus: Corpus,
    *,
    on_epoch: Callable[[Member, dict[str, Any]], None],
    on_outcome: Callable[[Member, Outcome], None],
    on_share: Callable[[Mapping[str, int], float], None] = _silent,
    device: str = "cpu",
) -> None:
    """Train `members` together, each to its last epoch; the cohort shrinks when one ends.

    A member with `until` has an outcome of the status PRUNED after that epoch, and a checkpoint
    from which it can go on.

    A member resumes from the checkpoint in its folder, at any epoch. After each epoch `on_epoch`
    gets every member's row, and a thread writes its checkpoint during the next epoch. `on_outcome`
    gets a member's outcome after its last checkpoint is written. `on_share` gets, before an epoch
    and after each update, the members' epochs by their keys, from 1, and how much of the epoch is
    done. All checkpoints are on disk when this returns or raises. Raises AblateError where the
    members differ in `CohortKey`, the text is shorter than a window, or a placement does not fit
    the net.
    """
    for member in members[1:]:
        _check_alike(members[0].trial, member.trial, device)
    places, training = [_open(member, corpus, device) for member in members], None
    with Writer() as writer:
        while True:
            ended = [place for place in places if _ended(place, corpus)]
            paused = [place for place in places if place not in ended and _paused(place)]
            if ended or paused:
                # Free it before the scores and the next cohort's parameters take memory.
                training = None
            for place, outcome in zip(ended, _outcomes(ended, corpus, device), strict=True):
                # The receiver of the outcome may delete the folder.
                writer.wait(place.member.folder)
                on_outcome(place.member, outcome)
            for place in paused:
                writer.wait(place.member.folder)
                on_outcome(place.member, _so_far(place, corpus, device))
            places = [place for place in places if place not in ended and place not in paused]
            if not places:
                return
            if training is None:
                training = _training(places)
            places = _epoch(training, places, corpus, on_share)
            for place in places:
                writer.save(place.member.folder, place.state)
                on_epoch(place.member, place.state.rows[-1])


def _open(member: Member, corpus: Corpus, device: str) -> Seat:
    trial, folder = member.trial, member.folder
    updates = updates_of(trial, corpus, trial.recipe.epochs)
    planned = TrialPlan.planned(
        trial.net, trial.placement, trial.seed, device, updates=updates, precision=trial.precision
    )
    state = checkpoints.load(folder, trial.key, device)
    if state is None:
        state = _first(trial, corpus, device)
    elif device == "cpu":
        _warn_of_other_threads(state)
    return Seat(member, planned, state, datetime.now(UTC).isoformat(timespec="seconds"))


def _warn_of_other_threads(state: Checkpoint) -> None:
    """Warn that another number of threads rounds products differently."""
    now, before = torch.get_num_threads(), state.threads
    if before not in (0, now):
        warnings.warn(
            f"a trial that began with {before} thread(s) goes on with {now}: its last bits may be "
            f"others than if it had never stopped; `--threads {before}` keeps them",
            AblateWarning,
            stacklevel=2,
        )


def _check_alike(one: Trial, other: Trial, device: str) -> None:
    first, second = (CohortKey.of(trial, device) for trial in (one, other))
    for what in ("net", "windows", "precision"):
        ours, theirs = getattr(first, what), getattr(second, what)
        if ours != theirs:
            raise AblateError(
                f"trials of a cohort agree in {what}, got {ours!r} and {theirs!r}; "
                "train them apart",
                given=theirs,
            )
    if first.path != second.path:
        raise AblateError(
            "trials of a cohort take one path of the engine and have the same gates apart, "
            f"got {one.placement} and {other.placement}; train them apart",
            given=other.placement,
        )


def _ended(place: Seat, corpus: Corpus) -> bool:
    return place.state.epochs >= place.trial.recipe.epochs or _has_diverged(place, corpus)


def _paused(place: Seat) -> bool:
    until = place.member.until
    return until is not None and place.state.epochs >= until


def _so_far(place: Seat, corpus: Corpus, device: str) -> Outcome:
    """What there is of a trial that left at its rung: curves and no scores."""
    columns = _circumstances(place, corpus, device) | {"seconds": place.state.seconds}
    return Outcome(Status.PRUNED, columns, place.state.rows)


def _has_diverged(place: Seat, corpus: Corpus) -> bool:
    return diverged(place.state.rows, len(corpus.vocabulary))


def _outcomes(places: Sequence[Seat], corpus: Corpus, device: str) -> list[Outcome]:
    """The outcomes of ended trials, whose final evaluations run together.

    A trial whose final perplexity overflows has diverged too.
    """
    began = time.perf_counter()
    scored = [place for place in places if not _has_diverged(place, corpus)]
    measured = {
        place.trial.key: found
        for place, found in zip(scored, headlines(scored, corpus), strict=True)
    }
    share = (time.perf_counter() - began) / max(1, len(scored))
    outcomes = []
    for place in places:
        found = measured.get(place.trial.key)
        columns, rows = _circumstances(place, corpus, device), place.state.rows
        columns["seconds"] = place.state.seconds + (share if found else 0.0)
        if found and found.finite:
            outcomes.append(Outcome(Status.OK, columns | found.columns, rows, found.tokens))
        else:
            outcomes.append(Outcome(Status.DIVERGED, columns, rows))
    return outcomes


def _first(trial: Trial, corpus: Corpus, device: str) -> Checkpoint:
    parameters = initial_parameters(
        trial.net, len(corpus.vocabulary), seed=trial.seed, radius=trial.recipe.init, device=device
    )
    return Checkpoint(trial.key, parameters, parameters)


def _training(places: Sequence[Seat]) -> Training:
    """The training of these trials, until one of them ends."""
    recipe = places[0].trial.recipe
    return Training(
        stacked([place.state.parameters for place in places]),
        [place.planned for place in places],
        (recipe.unroll, recipe.batch),
        clips=[place.trial.recipe.clip for place in places],
    )


def _epoch(
    training: Training,
    places: Sequence[Seat],
    corpus: Corpus,
    on_share: Callable[[Mapping[str, int], float], None],
) -> list[Seat]:
    """Train one epoch and evaluate; each trial goes from one checkpoint to the next.

    The row of a trial that diverges ends at its last finite update and has no scores.
    """
    recipe = places[0].trial.recipe
    epochs = {place.trial.key: place.epoch for place in places}
    windows = list(training_windows(corpus.train, recipe.batch, recipe.unroll))
    update = _TRAINED_AS_EVALUATED * recipe.batch * recipe.unroll
    whole = len(windows) * update + curve_tokens(corpus, recipe) + len(corpus.valid)
    on_share(epochs, 0.0)
    began = time.perf_counter()
    sums = training.epoch(
        windows,
        updates=[updates_of(place.trial, corpus, place.state.epochs) for place in places],
        learning_rates=[place.learning_rate for place in places],
        on_update=lambda done: on_share(epochs, done * update / whole),
    )
    points = curve_points(training.evaluation, places, corpus)
    share = (time.perf_counter() - began) / len(places)
    return [
        replace(
            place,
            state=_advanced(
                place, training.one(k), sums[k], points[k] if sums[k].finite else {}, share
            ),
            cohort=max(place.cohort, len(places)),
        )
        for k, place in enumerate(places)
    ]


def _advanced(
    place: Seat, parameters: Parameters, sums: Sums, scored: dict[str, float], seconds: float
) -> Checkpoint:
    """The checkpoint after an epoch; `seconds` is the trial's share of the cohort's time."""
    state = place.state
    row: dict[str, Any] = (
        {"train_nll": None, "valid_nll": None}
        | scored
        | {
            "epoch": place.epoch,
            "learning_rate": place.learning_rate,
            "running_nll": sums.nll / sums.targets if sums.targets else None,
            "gradient_norm": float(np.mean(sums.norms)) if sums.norms else None,
            "tokens_per_second": sums.targets / seconds,
            "seconds": seconds,
        }
    )
    rows = [*state.rows, row]
    return Checkpoint(
        key=state.key,
        parameters=parameters,
        best=parameters if best_epoch(rows) == len(rows) else state.best,
        rows=rows,
        seconds=state.seconds + seconds,
        threads=torch.get_num_threads(),
    )


def _circumstances(place: Seat, corpus: Corpus, device: str) -> dict[str, Any]:
    """The columns that do not depend on the losses: machine, versions, sizes and speed."""
    trial, state = place.trial, place.state
    speeds = [row["tokens_per_second"] for row in state.rows]
    unknown = {f"{split}_unknown": len(positions) for split, positions in corpus.unknown.items()}
    return (
        surroundings()
        | unknown
        | {
            "headline": trial.recipe.headline,
            "epochs": state.epochs,
            "parameters": count(state.parameters),
            "tokens_per_second": float(np.median(speeds)),
            "device": device_name(device),
            "arithmetic": arithmetic(device),
            "threads": torch.get_num_threads(),
            "cohort": place.cohort,
            "path": place.planned.train_path.value,
            "vocabulary": len(corpus.vocabulary),
            "started_at": place.started_at,
        }
    )
