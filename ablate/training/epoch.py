"""An epoch's windows: a cohort is taken through them, and each trial's sums are gathered.

On a GPU where `tensor_update.capturable` says so an update is one CUDA graph, captured anew each
epoch: the trials are stacked anew then, the first updates are its warm-up, and between two epochs
the evaluation has its memory. Elsewhere `cohort_update` is called window by window. Both end with
the same sums, each trial's up to its last finite update. By hand a trial that is not finite leaves
the cohort with that update; in a graph it stays, frozen, to the end of the epoch.

Shapes: K trials, T time, B batch, U updates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ablate.model import language_model
from ablate.model.parameters import Parameters
from ablate.training.graph import CapturedUpdate
from ablate.training.tensor_update import TensorUpdate, capturable
from ablate.training.update import Task, cohort_update, product_copies


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
    take = _captured if capturable(tasks, parameters["decoder.weight"]) else _plain
    return take(parameters, tasks, windows, updates, learning_rates, clips)


def one(parameters: Parameters, k: int) -> Parameters:
    """The parameters of one trial, in memory of its own."""
    return {name: value[k].clone() for name, value in parameters.items()}


def _plain(
    parameters: Parameters,
    tasks: Sequence[Task],
    windows: Sequence[tuple[Tensor, Tensor]],
    updates: Sequence[int],
    learning_rates: Sequence[float],
    clips: Sequence[float],
) -> Epoch:
    net, precision = tasks[0].net, tasks[0].precision
    like, batch = parameters["decoder.weight"], windows[0][0].shape[1]
    state = language_model.zero_cohort_state(net, len(tasks), batch, like)
    copies = product_copies(parameters, precision)
    live, left = list(range(len(tasks))), {}
    sums = [Sums() for _ in tasks]
    for number, (x_TB, y_TB) in enumerate(windows):
        done = cohort_update(
            parameters,
            x_TB.to(like.device),
            y_TB.to(like.device),
            state,
            [tasks[at] for at in live],
            updates=[updates[at] + number for at in live],
            learning_rates=[learning_rates[at] for at in live],
            clips=[clips[at] for at in live],
            copies=copies,
        )
        state = done.state
        told = zip(live, done.nlls, done.norms, strict=True)
        finite = [sums[at].take(nll, norm, y_TB.numel()) for at, nll, norm in told]
        if not all(finite):
            left |= {at: one(parameters, k) for k, at in enumerate(live) if not finite[k]}
            live = [at for at, fine in zip(live, finite, strict=True) if fine]
            if not live:
                break
            parameters = {name: value[finite] for name, value in parameters.items()}
            copies = product_copies(parameters, precision)
            state = (state[0][:, finite], state[1][:, finite])
    return Epoch(parameters, live, left, sums)


def _captured(
    parameters: Parameters,
    tasks: Sequence[Task],
    windows: Sequence[tuple[Tensor, Tensor]],
    updates: Sequence[int],
    learning_rates: Sequence[float],
    clips: Sequence[float],
) -> Epoch:
    like, (time, batch) = parameters["decoder.weight"], windows[0][0].shape
    update = CapturedUpdate(
        TensorUpdate.of(
            parameters,
            tasks,
            (time, batch),
            updates=updates,
            learning_rates=learning_rates,
            clips=clips,
        )
    )
    # One copy to the device and one back: an update that asked the host would wait for it.
    x_UTB, y_UTB = (torch.stack(part).to(like.device) for part in zip(*windows, strict=True))
    told_U2K = like.new_empty((len(windows), 2, len(tasks)), dtype=torch.float64)
    for told_2K, x_TB, y_TB in zip(told_U2K, x_UTB, y_UTB, strict=True):
        told_2K.copy_(update(x_TB, y_TB))
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
