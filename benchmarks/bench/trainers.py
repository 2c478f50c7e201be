"""What is timed: ablate's own updates and evaluations, and a stock trainer's, behind one face.

Shapes: T time, B batch, K trials, N tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ablate.drops import ALL
from ablate.edges import Edge
from ablate.engine.plan import Path
from ablate.model import parameters
from ablate.model.parameters import Parameters
from ablate.placement import Placement
from ablate.strategies import get
from ablate.training.epoch import repeatedly
from ablate.training.evaluation import evaluate
from ablate.training.graph import WARM_UPS
from ablate.training.update import TrialPlan, Update
from bench.shapes import Shape
from bench.stock import StockTrainer

#: Windows of one evaluation: what it prepares once is shared by as few as it ever is.
EVALUATED: Final = 2

# Small, so that random targets leave the parameters where they are.
_LEARNING_RATE: Final = 1e-3
_DROPOUT: Final = 0.5

# The updates that are done: half of a trial, so that no schedule is at its beginning.
_BEGUN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trainer at one shape in one precision.

    `strategy` is a strategy's name at its default point, or for the stock trainer `none` or
    `dropout`; `path` another path of the engine than the plan's; `size` that of a cohort, None for
    a trial alone.
    """

    trainer: Literal["ablate", "stock"]
    shape: Shape
    precision: str
    strategy: str
    path: str | None = None
    size: int | None = None


class Trainer(Protocol):
    """A call is an update, or an evaluation of `EVALUATED` windows; `number` counts the calls."""

    def update(self, number: int) -> object: ...

    def evaluate(self, number: int) -> object: ...


def build(case: Case, device: str, values: Parameters | None = None) -> Trainer:
    """The trainer of a case; ablate's trains `values` where they are given."""
    if case.trainer == "stock":
        return Stock(case, device)
    if values is None:
        values = random_parameters(case.shape, device, case.size)
    return Alone(case, device, values) if case.size is None else Cohort(case, device, values)


def random_parameters(shape: Shape, device: str, size: int | None = None) -> Parameters:
    """Uniform parameters; of `size` trials side by side, where it is given."""
    front = () if size is None else (size,)
    return {
        name: torch.empty(*front, *of_one, device=device).uniform_(-shape.init, shape.init)
        for name, of_one in parameters.shapes(shape.net, shape.vocabulary).items()
    }


def first(values: Parameters, size: int) -> Parameters:
    """The first `size` trials of a cohort's parameters, in the same memory."""
    return {name: value[:size] for name, value in values.items()}


def window_of(shape: Shape, device: str) -> tuple[Tensor, Tensor]:
    """Random words and targets, [T, B] each."""
    words = torch.Generator().manual_seed(0)
    size = (2, shape.unroll, shape.batch)
    x_TB, y_TB = torch.randint(shape.vocabulary, size, generator=words).to(device).unbind()
    return x_TB, y_TB


def task_of(case: Case, device: str, *, seed: int = 1) -> TrialPlan:
    """The planned of a case, on the plan's paths or the one that the case names."""
    placement = get(case.strategy).place()
    planned = TrialPlan.planned(
        case.shape.net, placement, seed, device, updates=2 * _BEGUN, precision=case.precision
    )
    if case.path is None:
        return planned
    return replace(planned, train_path=Path(case.path), evaluate_path=Path(case.path))


def ran(path: Path, precision: str) -> Path:
    """The path that runs where `path` is asked for: the library's LSTM keeps to float32."""
    return Path.LOOPED if path is Path.LIBRARY and precision != "fp32" else path


def gates(placement: Placement) -> str:
    """Whether any gate reads its own copy of an input or a state: `apart`, else `shared`."""
    apart = any(
        drop.shared.gate is not ALL and drop.shared.gate is not None
        for edge, drop in placement.items()
        if edge is not Edge.WEIGHT
    )
    return "apart" if apart else "shared" if len(placement) else "-"


class Updates:
    """Updates on one window again and again, as training makes them, captured where it captures."""

    def __init__(
        self, case: Case, device: str, values: Parameters, plans: Sequence[TrialPlan]
    ) -> None:
        """`values` [K, ...] are trained in place."""
        self.window, trials = window_of(case.shape, device), len(plans)
        self.whole = Update.of(
            values,
            plans,
            (case.shape.unroll, case.shape.batch),
            updates=[_BEGUN] * trials,
            learning_rates=[_LEARNING_RATE] * trials,
            clips=[case.shape.clip] * trials,
        )
        self.call = repeatedly(self.whole, plans)
        # What is timed is replayed.
        for _ in range(WARM_UPS if self.call is not self.whole else 0):
            self.call(*self.window)

    def __call__(self) -> object:
        """One update; what it returns is to be kept until the device has done it."""
        return self.call(*self.window)


class Alone:
    """A trial of ablate by itself."""

    def __init__(self, case: Case, device: str, values: Parameters) -> None:
        self.shape, self.values = case.shape, values
        self.planned = task_of(case, device)
        # A trial alone is a cohort of one.
        own = {name: value.unsqueeze(0) for name, value in values.items()}
        self.updates = Updates(case, device, own, [self.planned])
        words = np.random.default_rng(0)
        self.tokens_N = words.integers(
            case.shape.vocabulary, size=EVALUATED * case.shape.tokens, dtype=np.int32
        )

    def update(self, number: int) -> object:
        return self.updates()

    def evaluate(self, number: int) -> object:
        return evaluate(
            self.values, self.tokens_N, self.planned,
            streams=self.shape.batch, unroll=self.shape.unroll, eos=0, update=_BEGUN + number,
        )  # fmt: skip

    def masks(self, number: int) -> list[Any]:
        """Draw every mask of an update, and do nothing with them."""
        masks = self.updates.whole.masks
        outside = [(masks.embedding, self.updates.window[0]), (masks.output, None)]
        return [
            *(masks.factors(layer) for layer in range(self.shape.net.layers)),
            *(source.draw(masks.clock, tokens) for source, tokens in outside if source),
        ]


class Cohort:
    """Trials of ablate side by side, of one strategy and different seeds."""

    def __init__(self, case: Case, device: str, values: Parameters) -> None:
        plans = [task_of(case, device, seed=seed) for seed in range(1, 1 + (case.size or 1))]
        self.updates = Updates(case, device, values, plans)

    def update(self, number: int) -> object:
        return self.updates()

    def evaluate(self, number: int) -> object:
        raise NotImplementedError("cohorts are timed in training")


class Stock:
    """PyTorch's own trainer."""

    def __init__(self, case: Case, device: str) -> None:
        dropout = _DROPOUT if case.strategy == "dropout" else 0.0
        self.trainer = StockTrainer(case.shape, case.precision, dropout=dropout, device=device)
        self.window = window_of(case.shape, device)

    def update(self, number: int) -> object:
        return self.trainer.update(*self.window, learning_rate=_LEARNING_RATE)

    def evaluate(self, number: int) -> object:
        return [self.trainer.evaluate(*self.window) for _ in range(EVALUATED)]
