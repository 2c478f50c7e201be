"""Perplexity over every token, by the deterministic evaluation.

Perplexity is exp of the mean negative log-likelihood over every token of the text: the first is
given `<eos>`, each stream's remainder counts too.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ablate.data.windows import evaluation_order, evaluation_windows
from ablate.engine.factors import NetMasks
from ablate.engine.plan import Mode
from ablate.engine.slots import Trial
from ablate.model import language_model
from ablate.model.parameters import Parameters
from ablate.training.softmax import losses
from ablate.training.update import Task, product_copies

#: By how much a window may be longer than an update's, as no tape is kept of it: the large products
#: are larger. Beyond that what one of them leaves for the next is no longer in the cache.
LONGER: Final = 4


class Evaluated(NamedTuple):
    """The log-probability of each token, in nats and in the order of the text."""

    log_probs_N: NDArray[np.float32]

    @property
    def nll(self) -> float:
        """Nats per target, summed in float64."""
        return -float(self.log_probs_N.sum(dtype=np.float64)) / len(self.log_probs_N)

    @property
    def targets(self) -> int:
        return len(self.log_probs_N)


def perplexity(nll: float) -> float:
    """Perplexity per word of a mean nll in nats; inf where it overflows."""
    return math.exp(nll) if nll < 700.0 else math.inf


def evaluate(
    parameters: Parameters,
    tokens_N: NDArray[np.int32],
    task: Task,
    *,
    streams: int,
    unroll: int,
    eos: int,
    update: int = 0,
) -> Evaluated:
    """Score every token once, in `streams` streams whose state is carried from window to window.

    `update` counts the updates of training that are done, for a placement with a schedule.
    """
    alone = {name: value.detach().unsqueeze(0) for name, value in parameters.items()}
    return evaluate_cohort(
        alone, tokens_N, [task], streams=streams, unroll=unroll, eos=eos, updates=[update]
    )[0]


def evaluate_cohort(
    parameters: Parameters,
    tokens_N: NDArray[np.int32],
    tasks: Sequence[Task],
    *,
    streams: int,
    unroll: int,
    eos: int,
    updates: Sequence[int],
) -> list[Evaluated]:
    """As `evaluate` for K trials, whose `parameters` are [K, ...], window by window together."""
    task, like = tasks[0], parameters["decoder.weight"]
    streams = min(streams, len(tokens_N))
    state = language_model.zero_cohort_state(task.net, len(tasks), streams, like)
    # A buffer from the start: small results kept between the windows' large scores would each split
    # a freed block of the heap, and memory would grow by the scores of every window.
    size = -(-len(tokens_N) // streams) * streams
    losses_KN = torch.zeros(len(tasks), size, device=like.device)
    done, masks = 0, dict[int, NetMasks]()
    with torch.inference_mode():
        copies = product_copies(parameters, task.precision)
        for x_TB, y_TB in evaluation_windows(tokens_N, streams, unroll, eos):
            x_TB, y_TB = x_TB.to(like.device), y_TB.to(like.device)
            if len(x_TB) not in masks:
                masks[len(x_TB)] = _means(tasks, updates, like, x_TB.shape)
            out = language_model.read_cohort(
                copies.layers,
                parameters["embedding.weight"][:, x_TB],
                x_TB,
                state,
                task.net,
                masks[len(x_TB)],
                task.evaluate_path,
            )
            state = (out.s_LKBH, out.c_LKBH)
            # Steps after a stream's end are scored against any word, and left out below.
            targets_N = y_TB.flatten().clamp(min=0)
            for k, y_TBH in enumerate(out.y_KTBH):
                losses_KN[k, done : done + len(targets_N)] = losses(
                    y_TBH.flatten(0, 1), copies.softmax[k], targets_N
                )
            done += len(targets_N)
        ordered_KN = -losses_KN[:, evaluation_order(len(tokens_N), streams)].cpu()
    return [Evaluated(own_N.numpy()) for own_N in ordered_KN]


def _means(
    tasks: Sequence[Task], updates: Sequence[int], like: Tensor, window: tuple[int, ...]
) -> NetMasks:
    """What the deterministic evaluation multiplies by in windows of (T, B)."""
    (time, batch), net = window, tasks[0].net
    trials = []
    for own, update in zip(tasks, updates, strict=True):
        at = replace(own.window(like, mode=Mode.MEAN), time=time, batch=batch)
        trials.append(Trial(own.placement_at(update), at))
    return NetMasks.of(trials, inputs=net.inputs, hidden=net.hidden, layers=net.layers)
