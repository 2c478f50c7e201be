"""An epoch's windows: a cohort is taken through them, and each trial's sums are gathered.

On a GPU where `update.capturable` says so an update is one CUDA graph, else it is called window by
window. A trial that is not finite stays, frozen, to the end of the epoch; its sums end with its
last finite update.

Shapes: K trials, T time, B batch, U updates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.model.parameters import Parameters
from ablate.training.graph import CapturedUpdate
from ablate.training.update import Task, Update, capturable


@dataclass(slots=True)
class Sums:
    """What one trial gathers over an epoch; nll in nats."""

    nll: float = 0.0
    targets: int = 0
    norms: list[float] = field(default_factory=list)

    def take(self, nll: float, norm: float, targets: int) -> bool:
        """Add an update of so many targets; whether it was finite, else it is left out."""
        if not (math.isfinite(nll) and math.isfinite(norm)):
            return False
        self.nll += nll
        self.targets += targets
        self.norms.append(norm)
        return True


class Epoch(NamedTuple):
    """What an epoch made of K trials: `parameters` [K', ...] are those of the `live` ones.

    `left` has the others' by their number, as their last finite update left them; `sums` are all's.
    """

    parameters: Parameters
    live: list[int]
    left: dict[int, Parameters]
    sums: list[Sums]


def advance(
    parameters: Parameters,
    tasks: Sequence[Task],
    windows: Sequence[tuple[Tensor, Tensor]],
    *,
    updates: Sequence[int],
    learning_rates: Sequence[float],
    clips: Sequence[float],
) -> Epoch:
    """Take K trials through an epoch's windows from a zero state; their `parameters` are consumed.

    `updates` are the numbers of the first window's updates. Whose update is not finite stays as its
    last finite one left it.
    """
    like, (time, batch) = parameters["decoder.weight"], windows[0][0].shape
    update = Update.of(
        parameters,
        tasks,
        (time, batch),
        updates=updates,
        learning_rates=learning_rates,
        clips=clips,
    )
    call = repeatedly(update, tasks)
    # One copy to the device and one back: an update that asked the host would wait for it.
    x_UTB, y_UTB = (torch.stack(part).to(like.device) for part in zip(*windows, strict=True))
    told_U2K = like.new_empty((len(windows), 2, len(tasks)), dtype=torch.float64)
    for told_2K, x_TB, y_TB in zip(told_U2K, x_UTB, y_UTB, strict=True):
        told_2K.copy_(call(x_TB, y_TB))
    live, left = [], {}
    sums = [Sums() for _ in tasks]
    for k, (nll_U, norm_U) in enumerate(told_U2K.permute(2, 1, 0).tolist()):
        told = zip(nll_U, norm_U, strict=True)
        if all(sums[k].take(nll, norm, time * batch) for nll, norm in told):
            live.append(k)
        else:
            left[k] = one(parameters, k)
    if left:
        parameters = {name: value[live] for name, value in parameters.items()}
    return Epoch(parameters, live, left, sums)


def repeatedly(update: Update, tasks: Sequence[Task]) -> Callable[[Tensor, Tensor], Tensor]:
    """An update as training calls it: on a GPU captured in a CUDA graph, else as it is."""
    device = update.live_K.device
    return CapturedUpdate(update) if capturable(tasks, device) else update


def one(parameters: Parameters, k: int) -> Parameters:
    """The parameters of one trial, in memory of its own."""
    return {name: value[k].clone() for name, value in parameters.items()}
