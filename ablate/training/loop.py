"""One trial from its first epoch, or from its checkpoint, to its row.

A trial is a function of its cell: initial weights, data order and masks come from the seed's
coordinates, so that a resumed trial equals one that never stopped, bit for bit at one thread count.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.data.corpora import Corpus
from ablate.data.windows import training_updates, training_windows
from ablate.masks import SEMANTICS
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters, count, initial_parameters
from ablate.placement import Placement
from ablate.training import checkpoint as checkpoints
from ablate.training.checkpoint import Checkpoint
from ablate.training.evaluation import Evaluated, evaluate, perplexity
from ablate.training.provenance import device_name, provenance
from ablate.training.recipe import Recipe
from ablate.training.update import Task, train_update

OK, DIVERGED = "ok", "diverged"


class Cell(Protocol):
    """What training needs of a cell of the matrix."""

    @property
    def key(self) -> str: ...
    @property
    def pair_key(self) -> str: ...
    @property
    def net(self) -> Net: ...
    @property
    def recipe(self) -> Recipe: ...
    @property
    def placement(self) -> Placement: ...
    @property
    def seed(self) -> int: ...
    @property
    def precision(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished trial: its columns of `trials`, its rows of `epochs`, its log-probabilities."""

    status: str
    trial: dict[str, Any]
    epochs: list[dict[str, Any]]
    tokens: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def train(
    cell: Cell,
    corpus: Corpus,
    *,
    folder: Path,
    on_epoch: Callable[[dict[str, Any]], None],
    device: str = "cpu",
) -> Outcome:
    """Train `cell` on `corpus`, resuming from `folder` where it holds the trial's checkpoint.

    Writes a checkpoint at the end of each epoch and hands its row to `on_epoch`. Raises AblateError
    where the text is shorter than a window or the placement does not fit the net.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    updates = cell.recipe.epochs * _epoch_updates(cell, corpus)
    task = Task.planned(cell.net, cell.placement, cell.seed, device, updates=updates)
    state = checkpoints.load(folder, cell.key, device) or _first(cell, corpus, device)
    while state.epochs < cell.recipe.epochs and not _diverged(state, corpus):
        state = _epoch(state, cell, task, corpus)
        checkpoints.save(folder, state)
        on_epoch(state.rows[-1])
    began = time.perf_counter()
    trial = _identity(cell, corpus, state, task, device) | {"started_at": started_at}
    if _diverged(state, corpus):
        return Outcome(DIVERGED, trial | {"seconds": state.seconds}, state.rows)
    measured, tokens = _headline(state, cell, task, corpus)
    seconds = state.seconds + time.perf_counter() - began
    return Outcome(OK, trial | measured | {"seconds": seconds}, state.rows, tokens)


def _epoch_updates(cell: Cell, corpus: Corpus) -> int:
    return training_updates(len(corpus.train), cell.recipe.batch, cell.recipe.unroll)


def _first(cell: Cell, corpus: Corpus, device: str) -> Checkpoint:
    parameters = initial_parameters(
        cell.net, len(corpus.vocabulary), seed=cell.seed, radius=cell.recipe.init, device=device
    )
    return Checkpoint(cell.key, parameters, parameters)


def _epoch(state: Checkpoint, cell: Cell, task: Task, corpus: Corpus) -> Checkpoint:
    """One epoch over the text and its evaluation, from one checkpoint to the next."""
    recipe, epoch = cell.recipe, state.epochs + 1
    began = time.perf_counter()
    parameters = {k: v.detach().clone().requires_grad_() for k, v in state.parameters.items()}
    like = parameters["decoder.weight"]
    carried = language_model.zero_state(cell.net, recipe.batch, like)
    update = state.epochs * _epoch_updates(cell, corpus)
    nll, targets, norms = 0.0, 0, []
    row: dict[str, Any] = {"epoch": epoch, "learning_rate": recipe.rate_of(epoch)}
    for x_TB, y_TB in training_windows(corpus.train, recipe.batch, recipe.unroll):
        done = train_update(
            parameters,
            x_TB.to(like.device),
            y_TB.to(like.device),
            carried,
            task,
            update=update,
            learning_rate=row["learning_rate"],
            clip=recipe.clip,
        )
        if not done.finite:
            break
        carried, update = done.state, update + 1
        nll, targets = nll + done.nll, targets + y_TB.numel()
        norms.append(done.norm)
    else:
        sample = _train_sample(corpus, recipe)
        row["train_nll"] = _score(parameters, sample, task, cell, corpus, epoch).nll
        row["valid_nll"] = _score(parameters, corpus.valid, task, cell, corpus, epoch).nll
    trained = time.perf_counter() - began
    parameters = {name: value.detach() for name, value in parameters.items()}
    row |= {
        "running_nll": nll / targets if targets else None,
        "gradient_norm": float(np.mean(norms)) if norms else None,
        "tokens_per_second": targets / trained,
        "seconds": trained,
    }
    row = {"train_nll": None, "valid_nll": None} | row
    earlier = [r["valid_nll"] for r in state.rows]
    improved = row["valid_nll"] is not None and row["valid_nll"] < min(earlier, default=math.inf)
    return Checkpoint(
        key=state.key,
        parameters=parameters,
        best=parameters if improved else state.best,
        rows=[*state.rows, row],
        seconds=state.seconds + time.perf_counter() - began,
    )


def _train_sample(corpus: Corpus, recipe: Recipe) -> NDArray[np.int32]:
    return corpus.train[: recipe.train_eval_tokens]


def _score(
    parameters: Parameters,
    tokens: NDArray[np.int32],
    task: Task,
    cell: Cell,
    corpus: Corpus,
    epoch: int,
    streams: int | None = None,
) -> Evaluated:
    return evaluate(
        parameters, tokens, task, streams=streams or cell.recipe.evaluation_streams,
        unroll=cell.recipe.unroll, eos=corpus.eos, update=epoch * _epoch_updates(cell, corpus),
    )  # fmt: skip


def _diverged(state: Checkpoint, corpus: Corpus) -> bool:
    """A non-finite loss or gradient, or valid perplexity above the vocabulary's size."""
    if not state.rows:
        return False
    nll = state.rows[-1]["valid_nll"]
    return nll is None or not math.isfinite(nll) or perplexity(nll) > len(corpus.vocabulary)


def _headline(
    state: Checkpoint, cell: Cell, task: Task, corpus: Corpus
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The final measurements, in one stream, at the last and at the best epoch."""
    best_epoch = 1 + int(np.argmin([row["valid_nll"] for row in state.rows]))
    columns: dict[str, Any] = {"best_epoch": best_epoch, "epochs": state.epochs}
    tokens: dict[str, NDArray[np.float32]] = {}
    at = {"last": (state.parameters, state.epochs), "best": (state.best, best_epoch)}
    scored: dict[int, tuple[Evaluated, Evaluated]] = {}
    for name, (parameters, epoch) in at.items():
        if epoch not in scored:
            scored[epoch] = (
                _score(parameters, corpus.valid, task, cell, corpus, epoch, streams=1),
                _score(parameters, corpus.test, task, cell, corpus, epoch, streams=1),
            )
        valid, test = scored[epoch]
        train_nll = state.rows[epoch - 1]["train_nll"]
        columns |= {
            f"train_nll_{name}": train_nll,
            f"valid_nll_{name}": valid.nll,
            f"test_nll_{name}": test.nll,
            f"gap_{name}": valid.nll - train_nll,
            "valid_targets": valid.targets,
            "test_targets": test.targets,
        }
        if name == cell.recipe.headline:
            tokens = {"valid": valid.log_probs_N, "test": test.log_probs_N}
    running = state.rows[-1]["running_nll"]
    columns |= {
        "train_targets": len(_train_sample(corpus, cell.recipe)),
        "running_nll": running,
        "gap_running": columns["valid_nll_last"] - running,
    }
    return columns, tokens


def _identity(
    cell: Cell, corpus: Corpus, state: Checkpoint, task: Task, device: str
) -> dict[str, Any]:
    """What does not depend on how training went."""
    speeds = [row["tokens_per_second"] for row in state.rows]
    return provenance() | {
        "key": cell.key,
        "pair_key": cell.pair_key,
        "placement": cell.placement.text,
        "seed": cell.seed,
        "headline": cell.recipe.headline,
        "epochs": state.epochs,
        "parameters": count(state.parameters),
        "tokens_per_second": float(np.median(speeds)),
        "precision": cell.precision,
        "device": device_name(torch.device(device)),
        "threads": torch.get_num_threads(),
        "cohort": 1,
        "path": task.train_path.value,
        "corpus": corpus.name,
        "corpus_digest": corpus.digest,
        "vocabulary": len(corpus.vocabulary),
        "net": cell.net.model_dump_json(),
        "recipe": cell.recipe.model_dump_json(),
        "semantics": SEMANTICS,
    }


def probe(cell: Cell, corpus: Corpus, device: str = "cpu") -> float:
    """Seconds an update of `cell`, the median of three after one that compiles and warms up."""
    state = _first(cell, corpus, device)
    # At the full rates: a schedule may start with nothing to do.
    task = Task.planned(cell.net, Placement(cell.placement), cell.seed, device)
    parameters = {k: v.requires_grad_() for k, v in state.parameters.items()}
    carried = language_model.zero_state(cell.net, cell.recipe.batch, parameters["decoder.weight"])
    windows = training_windows(corpus.train, cell.recipe.batch, cell.recipe.unroll)
    seconds = []
    for update, (x_TB, y_TB) in zip(range(4), windows, strict=False):
        began = time.perf_counter()
        done = train_update(
            parameters, x_TB.to(device), y_TB.to(device), carried, task, update=update,
            learning_rate=cell.recipe.learning_rate, clip=cell.recipe.clip,
        )  # fmt: skip
        carried = done.state
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds[1:] or seconds))
