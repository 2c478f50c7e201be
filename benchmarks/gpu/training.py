"""Whole epochs on a device: divergence, a cohort with its checkpoints, evaluation, memory.

Shapes: K trials, T time, B batch.
"""

import contextlib
import gc
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from bench.shapes import SHAPES, Shape
from bench.trainers import random_parameters, window_of

from ablate.drops import Drop, Fill, Sharing
from ablate.edges import Edge
from ablate.model.parameters import Parameters
from ablate.placement import Placement
from ablate.strategies import get
from ablate.training.epoch import Sums, Training
from ablate.training.evaluation import Evaluation
from ablate.training.loop import Member, Outcome, train_cohort
from ablate.training.trial import Trial
from ablate.training.update import TrialPlan
from gpu import cases
from gpu.cases import B, Row, T, is_gpu, on

# Two devices' curves after hundreds of updates, each rounded in another order.
_FAR: Final = 1e-3
_NLLS: Final = ("running_nll", "gradient_norm", "train_nll", "valid_nll")

PLACEMENTS: Final = (
    Placement({Edge.VERTICAL: Drop(0.2), Edge.RECURRENT: Drop(0.25, fill=Fill.HOLD)}),
    Placement({Edge.VERTICAL: Drop(0.3), Edge.HIDDEN: Drop(0.2, fill=Fill.HOLD)}),
    Placement({Edge.CELL: Drop(0.3, Sharing(time=3))}),
)


def divergence(device: str) -> Iterator[Row]:
    """A trial whose learning rate is absurd stays as it was; its companions do not notice."""
    wild, lost = _epoch(device, 1e38)
    tame, _ = _epoch(device, 0.1)
    expected, lost_there = _epoch("cpu", 1e38)
    assert [own.targets for own in lost] == [own.targets for own in lost_there]
    assert [own.finite for own in lost] == [True, False, True], "who diverged"
    for name, value in wild.items():
        for k in (0, 2):
            assert torch.equal(value[k], tame[name][k]), f"{name} of trial {k} heard of trial 1"
        assert value[1].isfinite().all(), f"{name} of the lost trial is not its last finite one"
    one, other = ({name: value[1] for name, value in of.items()} for of in (wild, expected))
    worst = cases.furthest(one, other, cases.NEAR["fp32"], "the lost trial")
    yield {"targets": [own.targets for own in lost], "off": worst}
    yield {"told": f"frozen after {lost[1].targets // (T * B)} updates; companions' bits stayed"}


def _epoch(device: str, rate: float) -> tuple[Parameters, list[Sums]]:
    """An epoch of three trials, the second with this learning rate, nothing clipped."""
    plans = [cases.planned(own, seed) for seed, own in enumerate(PLACEMENTS, start=1)]
    with on(device):
        values = cases.moved(cases.start(plans), device)
        training = Training(values, plans, (T, B), clips=[5.0, 1e38, 5.0])
        sums = training.epoch(
            cases.windows(), updates=cases.updates_of(3), learning_rates=[0.1, rate, 0.2]
        )
    return cases.moved(values, "cpu"), sums


class _Stopped(Exception):
    """Stands for a kill at the moment at which an epoch's row is told."""


def cohort(device: str) -> Iterator[Row]:
    """Trials from first epoch to rows: the CPU's curves; one that was stopped goes on alike."""
    made = cases.trials(PLACEMENTS)
    with tempfile.TemporaryDirectory() as folder:
        whole, again, there = (Path(folder) / name for name in ("whole", "again", "there"))
        found, expected = _trained(made, whole, device), _trained(made, there, "cpu")
        off = _furthest_rows(found, expected)
        yield {"off": off}
        with contextlib.suppress(_Stopped):
            _trained(made, again, device, stop=1)
        resumed = _trained(made, again, device)
    worst = _furthest_rows(resumed, found)
    assert not worst, f"a run that was stopped and goes on is off by {worst:.1e}"
    yield {"told": f"{len(made)} trials, curves off by {off:.1e} at most; resumed with equal bits"}


def _trained(
    members: Sequence[Trial], folder: Path, device: str, *, stop: int | None = None
) -> dict[str, Outcome]:
    """The outcomes by key; _Stopped where the epoch `stop` has been told of every member."""
    outcomes: dict[str, Outcome] = {}

    def on_outcome(member: Member, ended: Outcome) -> None:
        outcomes[member.trial.key] = ended

    def on_epoch(member: Member, row: dict[str, Any]) -> None:
        if row["epoch"] == stop and member.trial.key == members[-1].key:
            raise _Stopped

    with on(device):
        train_cohort(
            [Member(trial, folder / trial.key) for trial in members],
            cases.corpus(),
            on_epoch=on_epoch,
            on_outcome=on_outcome,
            device=device,
        )
    return outcomes


def _furthest_rows(found: dict[str, Outcome], expected: dict[str, Outcome]) -> float:
    """How far two runs' numbers lie apart, as a fraction; AssertionError where that is too far."""
    worst = 0.0
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        own = found[key]
        assert own.status == wanted.status == "ok", f"{key} ended {own.status}"
        pairs = [(a[name], b[name]) for a, b in zip(own.epochs, wanted.epochs, strict=True)
                 for name in _NLLS]  # fmt: skip
        pairs += [(own.columns[f"{split}_nll_last"], wanted.columns[f"{split}_nll_last"])
                  for split in ("train", "valid", "test")]  # fmt: skip
        apart = max(abs(a / b - 1.0) for a, b in pairs)
        assert apart <= _FAR, f"curves of {key} lie {apart:.1e} apart, allowed {_FAR:.1e}"
        worst = max(worst, apart)
        assert own.tokens.keys() == wanted.tokens.keys()
        for split, values in wanted.tokens.items():
            np.testing.assert_allclose(own.tokens[split], values, rtol=_FAR, atol=_FAR)
    return worst


def evaluation(device: str) -> Iterator[Row]:
    """Every token's score is the CPU's, captured, in several streams and in one, and once more
    when the parameters have changed where they lie."""
    plans = [cases.planned(own, seed) for seed, own in enumerate(PLACEMENTS, start=1)]
    tokens, worst = cases.text(211), 0.0
    given, there = cases.start(plans), cases.moved(cases.start(plans), device)
    with on(device):
        ours = Evaluation.of(there, plans)
    for turn in range(2):
        for streams in (4, 1):
            asked: dict[str, Any] = {
                "streams": streams, "unroll": 7, "eos": 0, "updates": [cases.BEGUN] * 3,
            }  # fmt: skip
            with on(device):
                found = ours(tokens, **asked)
            with on("cpu"):
                expected = Evaluation.of(given, plans)(tokens, **asked)
            for own, wanted in zip(found, expected, strict=True):
                apart = float(np.abs(own.log_probs_N - wanted.log_probs_N).max())
                assert apart <= 1e-5 * np.abs(wanted.log_probs_N).max(), (streams, turn, apart)
                worst = max(worst, apart)
        # What products take is a copy of the softmax layer, the embedding lies where it lay.
        for values in (given, there):
            values["embedding.weight"].mul_(0.5)
    yield {"off": worst}
    yield {"told": f"{len(tokens)} tokens in 4 streams and in 1, off by {worst:.1e} nats at most"}


def memory(device: str) -> Iterator[Row]:
    """Epochs after one another take no more memory than the second did."""
    big = is_gpu(device)
    shape = SHAPES["medium"] if big else Shape("tiny", 2, 13, T, B, vocabulary=cases.WORDS)
    trials, epochs = (4, 6) if big else (2, 3)
    text = np.resize(cases.text(1009, shape.vocabulary), 8 * shape.tokens)
    plans = [
        TrialPlan.planned(shape.net, get("zaremba2014").place(), seed, device, precision="bf16")
        for seed in range(trials)
    ]
    taken: list[tuple[int, int]] = []
    with on(device):
        size = (shape.unroll, shape.batch)
        training = Training(
            random_parameters(shape, device, trials), plans, size, clips=[5.0] * trials
        )
        for epoch in range(epochs):
            training.epoch(
                [window_of(shape, "cpu")] * 6,
                updates=[6 * epoch] * trials,
                learning_rates=[0.1] * trials,
            )
            training.evaluation(
                text, streams=shape.batch, unroll=shape.unroll, eos=0, updates=[0] * trials
            )
            # Copies as checkpoints take them, and what waits for Python to count it.
            kept = [training.one(k) for k in range(trials)]
            del kept
            gc.collect()
            if big:
                taken.append((torch.cuda.memory_allocated(), torch.cuda.memory_reserved()))
                yield {"epoch": epoch + 1, "allocated": taken[-1][0], "reserved": taken[-1][1]}
    if not big:
        yield {"told": "the CPU's memory is not counted"}
        return
    assert taken[-1][0] <= taken[1][0], f"allocated grows: {taken}"
    assert taken[-1][1] <= taken[1][1], f"reserved grows: {taken}"
    allocated, reserved = (value >> 20 for value in taken[-1])
    yield {"told": f"{allocated} MiB allocated, {reserved} reserved, from the second epoch on"}
