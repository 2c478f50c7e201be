"""Perplexity over every token, by the deterministic evaluation.

Perplexity is exp of the mean negative log-likelihood over every token of the text: the first is
given `<eos>`, each stream's remainder counts too.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from ablate.data.windows import IGNORE, evaluation_order, evaluation_windows
from ablate.engine.plan import Mode
from ablate.model import language_model
from ablate.model.parameters import Parameters
from ablate.training.update import Task


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
    like = parameters["decoder.weight"]
    streams = min(streams, len(tokens_N))
    state = language_model.zero_state(task.net, streams, like)
    window, placement = task.window(like, mode=Mode.MEAN), task.placement_at(update)
    # One buffer from the start: small results kept between the windows' large scores would each
    # split a freed block of the heap, and memory would grow by the scores of every window.
    losses = torch.zeros(-(-len(tokens_N) // streams) * streams, device=like.device)
    done = 0
    with torch.inference_mode():
        for x_TB, y_TB in evaluation_windows(tokens_N, streams, unroll, eos):
            x_TB, y_TB = x_TB.to(like.device), y_TB.to(like.device)
            y_TBH, state = language_model.read(
                parameters, x_TB, state, task.net, placement, window, task.evaluate_path
            )
            losses[done : done + y_TB.numel()] = functional.cross_entropy(
                language_model.logits(parameters, y_TBH),
                y_TB.flatten(),
                ignore_index=IGNORE,
                reduction="none",
            )
            done += y_TB.numel()
        ordered = -losses.cpu()[evaluation_order(len(tokens_N), streams)]
    return Evaluated(ordered.numpy())
