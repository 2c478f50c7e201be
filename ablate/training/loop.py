"""Trials from their first epoch, or their checkpoints, to their rows, side by side in a cohort.

A trial is a function of its cell: initial weights, data order and masks come from the seed's
coordinates, so that a resumed trial equals one that never stopped, bit for bit at one thread count.
In float32 on the CPU it equals, bit for bit, the one that was trained alone.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ablate.data.corpora import Corpus
from ablate.data.windows import training_updates, training_windows
from ablate.engine.plan import alike
from ablate.errors import AblateError
from ablate.masks import SEMANTICS
from ablate.model.net import Net
from ablate.model.parameters import Parameters, count, initial_parameters
from ablate.placement import Placement
from ablate.training import checkpoint as checkpoints
from ablate.training.checkpoint import Checkpoint
from ablate.training.epoch import Sums, advance, one
from ablate.training.evaluation import LONGER, Evaluated, evaluate_cohort, perplexity
from ablate.training.provenance import device_name, provenance
from ablate.training.recipe import Recipe
from ablate.training.update import Task

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


class Member(NamedTuple):
    """A trial that takes a place of a cohort; `folder` is where its checkpoint lies."""

    cell: Cell
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """A member at work: its state after the last whole epoch, and the most places it shared."""

    member: Member
    task: Task
    state: Checkpoint
    started_at: str
    cohort: int = 1

    @property
    def cell(self) -> Cell:
        return self.member.cell


def train(
    cell: Cell,
    corpus: Corpus,
    *,
    folder: Path,
    on_epoch: Callable[[dict[str, Any]], None],
    device: str = "cpu",
) -> Outcome:
    """Train `cell` on `corpus` alone, a cohort of one; see `train_cohort`."""
    members = iter([Member(cell, folder)])
    outcomes: list[Outcome] = []
    train_cohort(
        lambda: next(members, None),
        corpus,
        size=1,
        on_epoch=lambda _, row: on_epoch(row),
        on_outcome=lambda _, outcome: outcomes.append(outcome),
        device=device,
    )
    return outcomes[0]


def train_cohort(
    next_member: Callable[[], Member | None],
    corpus: Corpus,
    *,
    size: int,
    on_epoch: Callable[[Member, dict[str, Any]], None],
    on_outcome: Callable[[Member, Outcome], None],
    device: str = "cpu",
) -> None:
    """Train what `next_member` gives, up to `size` trials side by side, until it gives None.

    A member resumes from its checkpoint where its folder holds one. At the end of each epoch every
    member's checkpoint is written and its row handed to `on_epoch`; who has ended goes to
    `on_outcome`, and its place to the next. Members agree in net, recipe and precision, in float32
    also in what `ablate.engine.plan.alike` says, else
    AblateError; also where the text is shorter than a window or a placement does not fit the net.
    """
    places: list[_Place] = []
    while True:
        while len(places) < size and (member := next_member()) is not None:
            places.append(_open(member, corpus, device))
            _check_alike(places[0], places[-1], device)
        ended = [place for place in places if _ended(place, corpus)]
        for place, outcome in zip(ended, _outcomes(ended, corpus, device), strict=True):
            on_outcome(place.member, outcome)
        places = [place for place in places if place not in ended]
        if ended:
            continue
        if not places:
            return
        places = _epoch(places, corpus)
        for place in places:
            checkpoints.save(place.member.folder, place.state)
            on_epoch(place.member, place.state.rows[-1])


def _open(member: Member, corpus: Corpus, device: str) -> _Place:
    cell, folder = member
    updates = cell.recipe.epochs * _epoch_updates(cell, corpus)
    task = Task.planned(
        cell.net, cell.placement, cell.seed, device, updates=updates, precision=cell.precision
    )
    state = checkpoints.load(folder, cell.key, device) or _first(cell, corpus, device)
    return _Place(member, task, state, datetime.now(UTC).isoformat(timespec="seconds"))


def _check_alike(one: _Place, other: _Place, device: str) -> None:
    cells = (one.cell, other.cell)
    for what in ("net", "recipe", "precision"):
        first, second = (getattr(cell, what) for cell in cells)
        if first != second:
            raise AblateError(
                f"trials of a cohort have one {what}, got {first!r} and {second!r}; "
                "train them apart"
            )
    kinds = {
        # A schedule may evaluate on another path than its placement at the full rates.
        (
            place.task.evaluate_path,
            alike(cell.placement, cell.net.layers, device=device, precision=cell.precision),
        )
        for place, cell in zip((one, other), cells, strict=True)
    }
    if one.cell.precision == "fp32" and len(kinds) > 1:
        raise AblateError(
            "trials of a cohort have equal bits alone only on one path of the engine and with the "
            f"same gates apart, got {cells[0].placement} and {cells[1].placement}; train them apart"
        )


def _ended(place: _Place, corpus: Corpus) -> bool:
    done = place.state.epochs >= place.cell.recipe.epochs
    return done or _diverged(place.state, corpus)


def _outcomes(places: Sequence[_Place], corpus: Corpus, device: str) -> list[Outcome]:
    """The rows of those that ended, their final measurements taken side by side."""
    began = time.perf_counter()
    healthy = [place for place in places if not _diverged(place.state, corpus)]
    measured = _headlines(healthy, corpus)
    share = (time.perf_counter() - began) / max(1, len(healthy))
    outcomes = []
    for place in places:
        trial = _identity(place, corpus, device) | {"started_at": place.started_at}
        rows, seconds = place.state.rows, place.state.seconds
        if place in healthy:
            columns, tokens = measured.pop(0)
            trial |= columns | {"seconds": seconds + share}
            outcomes.append(Outcome(OK, trial, rows, tokens))
        else:
            outcomes.append(Outcome(DIVERGED, trial | {"seconds": seconds}, rows))
    return outcomes


def _epoch_updates(cell: Cell, corpus: Corpus) -> int:
    return training_updates(len(corpus.train), cell.recipe.batch, cell.recipe.unroll)


def _first(cell: Cell, corpus: Corpus, device: str) -> Checkpoint:
    parameters = initial_parameters(
        cell.net, len(corpus.vocabulary), seed=cell.seed, radius=cell.recipe.init, device=device
    )
    return Checkpoint(cell.key, parameters, parameters)


def _epoch(places: Sequence[_Place], corpus: Corpus) -> list[_Place]:
    """One epoch over the text and its evaluation, each trial from one checkpoint to the next.

    Who diverges leaves at once: its row ends where its last finite update did.
    """
    recipe = places[0].cell.recipe
    began = time.perf_counter()
    done = advance(
        _stacked([place.state.parameters for place in places]),
        [place.task for place in places],
        list(training_windows(corpus.train, recipe.batch, recipe.unroll)),
        updates=[_updates_before(place, corpus) for place in places],
        learning_rates=[_learning_rate(place) for place in places],
        clip=recipe.clip,
    )
    own = [places[at] for at in done.live]
    train_nll = _nlls(done.parameters, _train_sample(corpus, recipe), own, corpus)
    valid_nll = _nlls(done.parameters, corpus.valid, own, corpus)
    share = (time.perf_counter() - began) / len(places)
    after = done.left | {at: one(done.parameters, k) for k, at in enumerate(done.live)}
    scored = {
        at: {"train_nll": train_nll[k], "valid_nll": valid_nll[k]} for k, at in enumerate(done.live)
    }
    return [
        replace(
            place,
            state=_advanced(place, after[at], done.sums[at], scored.get(at, {}), share),
            cohort=max(place.cohort, len(places)),
        )
        for at, place in enumerate(places)
    ]


def _advanced(
    place: _Place, parameters: Parameters, sums: Sums, scored: dict[str, float], seconds: float
) -> Checkpoint:
    """The checkpoint after an epoch that took the trial `seconds`, its share of the cohort's."""
    state = place.state
    row: dict[str, Any] = (
        {"train_nll": None, "valid_nll": None}
        | scored
        | {
            "epoch": state.epochs + 1,
            "learning_rate": _learning_rate(place),
            "running_nll": sums.nll / sums.targets if sums.targets else None,
            "gradient_norm": float(np.mean(sums.norms)) if sums.norms else None,
            "tokens_per_second": sums.targets / seconds,
            "seconds": seconds,
        }
    )
    earlier = [r["valid_nll"] for r in state.rows]
    improved = row["valid_nll"] is not None and row["valid_nll"] < min(earlier, default=math.inf)
    return Checkpoint(
        key=state.key,
        parameters=parameters,
        best=parameters if improved else state.best,
        rows=[*state.rows, row],
        seconds=state.seconds + seconds,
    )


def _learning_rate(place: _Place) -> float:
    """The rate of learning of the epoch that is under way."""
    return place.cell.recipe.rate_of(place.state.epochs + 1)


def _updates_before(place: _Place, corpus: Corpus, epochs: int | None = None) -> int:
    """The updates of `epochs` epochs, those that are done unless they are named."""
    done = place.state.epochs if epochs is None else epochs
    return done * _epoch_updates(place.cell, corpus)


def _stacked(trials: Sequence[Parameters]) -> Parameters:
    """Parameters side by side, K in front."""
    return {name: torch.stack([trial[name] for trial in trials]) for name in trials[0]}


def _train_sample(corpus: Corpus, recipe: Recipe) -> NDArray[np.int32]:
    return corpus.train[: recipe.train_eval_tokens]


def _scored(
    parameters: Parameters,
    tokens: NDArray[np.int32],
    places: Sequence[_Place],
    corpus: Corpus,
    epochs: Sequence[int],
    *,
    streams: int,
) -> list[Evaluated]:
    """Score `tokens` by each trial as it stood after its number of `epochs`."""
    if not places:
        return []
    recipe = places[0].cell.recipe
    # As many targets a window at any number of streams: the softmax's products stay large.
    unroll = LONGER * recipe.unroll * max(1, recipe.evaluation_streams // streams)
    return evaluate_cohort(
        parameters,
        tokens,
        [place.task for place in places],
        streams=streams,
        unroll=unroll,
        eos=corpus.eos,
        updates=[
            _updates_before(place, corpus, done) for place, done in zip(places, epochs, strict=True)
        ],
    )


def _nlls(
    parameters: Parameters, tokens: NDArray[np.int32], places: Sequence[_Place], corpus: Corpus
) -> list[float]:
    """The nll of each trial at the end of the epoch that is under way."""
    if not places:
        return []
    epochs = [place.state.epochs + 1 for place in places]
    streams = places[0].cell.recipe.evaluation_streams
    found = _scored(parameters, tokens, places, corpus, epochs, streams=streams)
    return [own.nll for own in found]


def _diverged(state: Checkpoint, corpus: Corpus) -> bool:
    """A non-finite loss or gradient, or valid perplexity above the vocabulary's size."""
    if not state.rows:
        return False
    nll = state.rows[-1]["valid_nll"]
    return nll is None or not math.isfinite(nll) or perplexity(nll) > len(corpus.vocabulary)


def _headlines(
    places: Sequence[_Place], corpus: Corpus
) -> list[tuple[dict[str, Any], dict[str, NDArray[np.float32]]]]:
    """The final measurements of each trial, in one stream, at the last and at the best epoch."""
    last = _final(places, corpus, [place.state.epochs for place in places])
    earlier = [place for place in places if _best_epoch(place) != place.state.epochs]
    best = _final(earlier, corpus, [_best_epoch(place) for place in earlier])
    return [
        _headline(place, corpus, {"last": last[at], "best": best.get(at, last[at])})
        for place in places
        for at in (place.cell.key,)
    ]


def _best_epoch(place: _Place) -> int:
    return 1 + int(np.argmin([row["valid_nll"] for row in place.state.rows]))


def _final(
    places: Sequence[_Place], corpus: Corpus, epochs: Sequence[int]
) -> dict[str, tuple[Evaluated, Evaluated]]:
    """Valid and test by the key of the trial, as it stood after its number of `epochs`."""
    if not places:
        return {}
    parameters = _stacked(
        [
            place.state.parameters if epoch == place.state.epochs else place.state.best
            for place, epoch in zip(places, epochs, strict=True)
        ]
    )
    valid, test = (
        _scored(parameters, tokens, places, corpus, epochs, streams=1)
        for tokens in (corpus.valid, corpus.test)
    )
    keys = [place.cell.key for place in places]
    return dict(zip(keys, zip(valid, test, strict=True), strict=True))


def _headline(
    place: _Place, corpus: Corpus, scored: dict[str, tuple[Evaluated, Evaluated]]
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    """The columns of the final measurements, and the log-probabilities of the headline epoch."""
    rows, recipe = place.state.rows, place.cell.recipe
    epochs = {"last": place.state.epochs, "best": _best_epoch(place)}
    columns: dict[str, Any] = {"best_epoch": epochs["best"], "epochs": epochs["last"]}
    for name, (valid, test) in scored.items():
        train_nll = rows[epochs[name] - 1]["train_nll"]
        columns |= {
            f"train_nll_{name}": train_nll,
            f"valid_nll_{name}": valid.nll,
            f"test_nll_{name}": test.nll,
            f"gap_{name}": valid.nll - train_nll,
            "valid_targets": valid.targets,
            "test_targets": test.targets,
        }
    running = rows[-1]["running_nll"]
    columns |= {
        "train_targets": len(_train_sample(corpus, recipe)),
        "running_nll": running,
        "gap_running": columns["valid_nll_last"] - running,
    }
    valid, test = scored[recipe.headline]
    return columns, {"valid": valid.log_probs_N, "test": test.log_probs_N}


def _identity(place: _Place, corpus: Corpus, device: str) -> dict[str, Any]:
    """What does not depend on how training went."""
    cell, state = place.cell, place.state
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
        "cohort": place.cohort,
        "path": place.task.train_path.value,
        "corpus": corpus.name,
        "corpus_digest": corpus.digest,
        "vocabulary": len(corpus.vocabulary),
        "net": cell.net.model_dump_json(),
        "recipe": cell.recipe.model_dump_json(),
        "semantics": SEMANTICS,
    }
