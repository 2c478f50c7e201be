"""Tiny nets and texts, the same in every check, and an update by the book to hold others against.

Shapes: K trials, T time, B batch, D embedding, H hidden, L layers, V vocabulary, U updates, N
tokens.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ablate.compiling import eagerly
from ablate.data.corpora import Corpus
from ablate.engine.layers.stack import State
from ablate.engine.plan import Path
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters, initial_parameters, layer_weights, stacked
from ablate.placement import Placement
from ablate.testing.case import forward
from ablate.training.epoch import repeatedly
from ablate.training.graph import WARM_UPS, Captured
from ablate.training.recipe import Recipe
from ablate.training.trial import Trial
from ablate.training.update import TrialPlan, Update

# Odd, and no two alike: rows begin at no multiple of 16 bytes, and what is transposed does not fit.
NET: Final = Net(layers=2, hidden=13, embedding=5)
WORDS, T, B = 23, 7, 3

# Half of a trial is done, so that a schedule is under way.
BEGUN, WHOLE = 50, 100

#: How far a tensor may be off, as a fraction of its norm: additions in another order in float32, a
#: rounding to eight bits in bfloat16.
NEAR: Final[Mapping[str, float]] = {"fp32": 1e-5, "bf16": 2.0**-7}

Row = dict[str, Any]

#: Updates of a comparison: those before a capture, the one that is captured, and two replays.
UPDATES: Final = WARM_UPS + 3


class Ran(NamedTuple):
    """What updates left: parameters [K, ...], and nll and norm of each, [U, 2, K]."""

    parameters: Parameters
    told: Tensor
    captured: bool


def on(device: str) -> AbstractContextManager[object]:
    """On the CPU what is compared against runs eagerly: to compile it would take half a minute."""
    return eagerly() if device == "cpu" else contextlib.nullcontext()


def is_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def planned(placement: Placement, seed: int = 1, *, precision: str = "fp32") -> TrialPlan:
    """A trial on the looped path, which a GPU takes, on every device."""
    return TrialPlan(NET, placement, seed, Path.LOOPED, Path.LOOPED, WHOLE, precision)


def text(count: int, words: int = WORDS) -> np.ndarray:
    """Tokens of which most follow from the one before, so that there is something to learn."""
    draw, made = np.random.default_rng(1409), [0]
    while len(made) < count:
        follows = draw.random() < 0.8
        made.append((5 * made[-1] + 3) % words if follows else int(draw.integers(words)))
    return np.array(made, dtype=np.int32)


def windows(
    count: int = UPDATES, size: tuple[int, int] = (T, B), words: int = WORDS
) -> list[tuple[Tensor, Tensor]]:
    """Windows (T, B) one after the other, on the CPU."""
    time, batch = size
    whole = torch.from_numpy(text(count * time * batch + batch, words).astype(np.int64))
    rows = whole.view(batch, -1).t().contiguous()
    return [
        (rows[at : at + time], rows[at + 1 : at + 1 + time]) for at in range(0, count * time, time)
    ]


def start(plans: Sequence[TrialPlan], words: int = WORDS, *, radius: float = 0.3) -> Parameters:
    """Initial parameters of trials side by side, [K, ...], in float32 on the CPU."""
    with eagerly():
        each = [initial_parameters(own.net, words, seed=own.seed, radius=radius) for own in plans]
    return stacked(each)


def moved(values: Parameters, device: str) -> Parameters:
    """Copies on a device."""
    return {name: value.to(device, copy=True) for name, value in values.items()}


def rates(trials: int) -> dict[str, list[float]]:
    """A learning rate and a clip for each trial; every other clip holds something back."""
    return {
        "learning_rates": [0.1 + 0.05 * k for k in range(trials)],
        "clips": [5.0 if k % 2 else 0.5 for k in range(trials)],
    }


def updates_of(trials: int) -> list[int]:
    """The number of each trial's first update: none stands where another does."""
    return [BEGUN + 3 * k for k in range(trials)]


def ran(
    plans: Sequence[TrialPlan],
    device: str,
    *,
    values: Parameters | None = None,
    size: tuple[int, int] = (T, B),
    count: int = UPDATES,
) -> Ran:
    """Train some updates as training makes them, on a GPU captured where it captures."""
    values = start(plans) if values is None else values
    words = values["decoder.weight"].shape[1]
    with on(device):
        own = moved(values, device)
        update = Update.of(own, plans, size, updates=updates_of(len(plans)), **rates(len(plans)))
        call = repeatedly(update, plans)
        told = [
            call(x_TB.to(device), y_TB.to(device)).clone()
            for x_TB, y_TB in windows(count, size, words)
        ]
    return Ran(moved(own, "cpu"), torch.stack(told).cpu(), isinstance(call, Captured))


def by_the_book(plans: Sequence[TrialPlan], *, count: int = UPDATES) -> Ran:
    """The same updates in float64 on the CPU: the specification's path, autograd, one by one."""
    given, numbers, values = rates(len(plans)), updates_of(len(plans)), start(plans)
    each = []
    for k, own in enumerate(plans):
        of_one = {name: value[k].double() for name, value in values.items()}
        rate, clip = given["learning_rates"][k], given["clips"][k]
        each.append(_alone(of_one, own, numbers[k], rate, clip, count))
    parameters = stacked([own for own, _ in each])
    return Ran(parameters, torch.stack([told for _, told in each], dim=2), False)


def _alone(
    values: Parameters, own: TrialPlan, first: int, rate: float, clip: float, count: int
) -> tuple[Parameters, Tensor]:
    """One trial's parameters after some updates, and nll and norm of each, [U, 2]."""
    state = language_model.zero_state(own.net, B, values["decoder.weight"])
    told = []
    for number, (x_TB, y_TB) in enumerate(windows(count), start=first):
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        nll, state = _nll(leaves, x_TB, y_TB, state, own, number)
        gradients = torch.autograd.grad(nll / B, list(leaves.values()))
        norm = math.sqrt(sum(float(own.square().sum()) for own in gradients))
        by = rate * min(1.0, clip / norm)
        values = {
            name: value - by * gradient
            for (name, value), gradient in zip(values.items(), gradients, strict=True)
        }
        told.append(torch.tensor([nll.item(), norm], dtype=torch.float64))
    return values, torch.stack(told)


def _nll(
    leaves: Parameters, x_TB: Tensor, y_TB: Tensor, state: State, own: TrialPlan, update: int
) -> tuple[Tensor, State]:
    """The nll of a window in nats, summed over its targets, and the state that it leaves."""
    weight = leaves["decoder.weight"]
    at = own.window(T, B, weight, update=update)
    with eagerly():
        out = forward(
            leaves["embedding.weight"][x_TB], state, layer_weights(leaves, own.net.layers),
            own.placement_at(update), at, Path.REFERENCE, tokens_TB=x_TB,
        )  # fmt: skip
    scores = functional.linear(out.y_TBX.flatten(0, 1), weight, leaves["decoder.bias"])
    nll = functional.cross_entropy(scores, y_TB.flatten(), reduction="sum")
    return nll, tuple(part.detach() for part in out.state)


def corpus(train: int = 409, valid: int = 53, test: int = 59) -> Corpus:
    """Three splits of the text above."""
    whole = text(train + valid + test)
    return Corpus(
        name="tiny",
        digest="0" * 64,
        vocabulary=tuple(f"w{number}" for number in range(WORDS)),
        eos=0,
        train=whole[:train],
        valid=whole[train : train + valid],
        test=whole[train + valid :],
        unknown={split: np.array([], np.int64) for split in ("train", "valid", "test")},
    )


def trials(placements: Sequence[Placement], *, epochs: int = 3) -> list[Trial]:
    """A trial for each placement, of one recipe, each with another seed."""
    recipe = Recipe(
        unroll=T, batch=B, learning_rate=0.5, epochs=epochs, hold=1, divide=2.0, clip=5.0,
        init=0.3, evaluation_streams=4,
    )  # fmt: skip
    return [
        Trial("gpu", "0" * 64, NET, recipe, own, seed)
        for seed, own in enumerate(placements, start=1)
    ]


def furthest(found: Parameters, expected: Parameters, most: float, what: str) -> float:
    """The largest difference of two tensors, as a fraction of the expected one's norm.

    AssertionError, with the tensor's name, where it is above `most` or not a number.
    """
    apart: dict[str, float] = {}
    for name, wanted in expected.items():
        own, exact = (value.detach().cpu().double() for value in (found[name], wanted))
        assert own.isfinite().all(), f"{what}: {name} is not finite"
        apart[name] = float((own - exact).norm() / exact.norm().clamp(min=1e-30))
    name = max(apart, key=lambda name: apart[name])
    assert apart[name] <= most, (
        f"{what}: {name} is off by {apart[name]:.1e} of its norm, allowed {most:.1e}"
    )
    return apart[name]


def furthest_of(found: Ran, expected: Ran, most: float, what: str) -> float:
    """As `furthest`, of all parameters and of the losses and norms of every update."""
    one, other = (
        own.parameters | {"nll": own.told[:, 0], "norm": own.told[:, 1]}
        for own in (found, expected)
    )
    return furthest(one, other, most, what)
