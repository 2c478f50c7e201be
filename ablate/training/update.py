"""One update by Zaremba's recipe: sum over time, mean over batch, clip, SGD, in place.

Source: arXiv:1409.2329, section 4.1. Shapes: T time, B batch, H hidden, V vocabulary.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ablate.engine.factors import Window
from ablate.engine.plan import Mode, Path, plan
from ablate.engine.stack import State
from ablate.model import language_model
from ablate.model.net import Net
from ablate.model.parameters import Parameters
from ablate.placement import Placement
from ablate.schedules import CONSTANT
from ablate.sources import built_in


@dataclass(frozen=True, slots=True)
class Task:
    """What every update of a trial shares; `updates` is how many it has, for the schedule."""

    net: Net
    placement: Placement
    seed: int
    train_path: Path = Path.LOOPED
    evaluate_path: Path = Path.LOOPED
    updates: int = 0

    @classmethod
    def planned(
        cls, net: Net, placement: Placement, seed: int, device: str, *, updates: int = 0
    ) -> "Task":
        """The task with the paths that the plan takes for training and for evaluation.

        Planned once, for the full rates: a schedule only takes edges away, and each path runs every
        part of a placement that it runs.
        """
        train, evaluate = (
            plan(placement, net.layers, device=device, mode=mode).path for mode in Mode
        )
        if placement.schedule != CONSTANT and _mean_may_move(placement):
            evaluate = Path.LOOPED
        return cls(net, placement, seed, train, evaluate, updates)

    def placement_at(self, update: int) -> Placement:
        """The placement that the schedule leaves after `update` updates."""
        return self.placement.at(update, self.updates)

    def window(self, like: Tensor, *, update: int = 0, mode: Mode = Mode.TRAIN) -> Window:
        """The window of an update, on the device and in the dtype of `like`."""
        return Window(
            seed=self.seed,
            update=update,
            time=1,
            batch=1,
            mode=mode,
            device=like.device,
            dtype=like.dtype,
        )


class Updated(NamedTuple):
    """What an update tells: nll in nats summed over all targets, the norm before clipping."""

    nll: float
    norm: float
    state: State

    @property
    def finite(self) -> bool:
        return math.isfinite(self.nll) and math.isfinite(self.norm)


def train_update(
    parameters: Parameters,
    x_TB: Tensor,
    y_TB: Tensor,
    state: State,
    task: Task,
    *,
    update: int,
    learning_rate: float,
    clip: float,
) -> Updated:
    """Change `parameters` in place by one update; a non-finite one changes nothing.

    `parameters` are leaves that require gradients. The state that is returned is detached:
    truncated back-propagation through time.
    """
    window = task.window(parameters["decoder.weight"], update=update)
    placement = task.placement_at(update)
    y_TBH, state = language_model.read(
        parameters, x_TB, state, task.net, placement, window, task.train_path
    )
    scores = language_model.logits(parameters, y_TBH)
    nll = functional.cross_entropy(scores, y_TB.flatten(), reduction="sum")
    values = list(parameters.values())
    gradients = list(torch.autograd.grad(nll / x_TB.shape[1], values))
    norm = float(torch.nn.utils.get_total_norm(gradients))
    done = Updated(float(nll.detach()), norm, (state[0].detach(), state[1].detach()))
    if done.finite:
        shrink = min(1.0, clip / norm) if norm else 1.0
        with torch.no_grad():
            for value, gradient in zip(values, gradients, strict=True):
                value.add_(gradient, alpha=-learning_rate * shrink)
    return done


def _mean_may_move(placement: Placement) -> bool:
    """Whether a noise that keeps its mean at the full rates may not keep it at lower ones."""
    return not all(built_in(type(drop.noise).__module__) for drop in placement.values())
